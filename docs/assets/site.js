// Wide tables scroll; the theme wraps them after loading, and a keyboard must be able to reach them.
const reach = () => {
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex]), .md-typeset pre > code:not([tabindex])")) wide.tabIndex = 0;
};
new MutationObserver(reach).observe(document.documentElement, { childList: true, subtree: true });
reach();
