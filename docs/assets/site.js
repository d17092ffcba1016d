// What is wider than the page scrolls, and a keyboard must be able to reach it. The theme wraps tables after loading.
const wide = [".md-typeset__scrollwrap", ".md-typeset pre > code"];
if (matchMedia("(max-width: 600px)").matches) wide.push('.md-typeset p:has(> img[src*=".svg"])'); // as in site.css
const names = wide.map(name => `${name}:not([tabindex])`).join(", ");
const reach = () => {
  for (const one of document.querySelectorAll(names)) one.tabIndex = 0;
};
new MutationObserver(reach).observe(document.documentElement, { childList: true, subtree: true });
reach();
