// The page works without this script; with it, links and forms replace parts of the page instead of loading a new one.
"use strict";

(() => {
  const TYPING_PAUSE = 90; // ms between the last key and the search
  const status = document.getElementById("status");
  const ORDER = ["run", "user", "item", "without", "q", "similar", "k"]; // of the fields in an address
  let shown = Promise.resolve(); // resolves when the page shows everything that was clicked and typed
  let pause = 0; // the timer of a search that waits for the next key

  const say = (text) => {
    if (text) status.textContent = text === status.textContent ? `${text}\u00a0` : text;
  };

  // Replaces every live part of the page by the part with the same id in the answer.
  const replaceParts = (html) => {
    const answer = new DOMParser().parseFromString(html, "text/html");
    const fresh = [...answer.querySelectorAll("[data-live]")];
    for (const part of fresh) {
      const old = document.getElementById(part.id);
      if (old) old.replaceWith(document.adoptNode(part));
    }
    return fresh;
  };

  const fetched = async (address) => (await fetch(address, { headers: { Accept: "text/html" } })).text();

  // Focuses the element with this id, else its neighbour in the same list, else a heading.
  const keepFocus = (id, fallback) => {
    const [, kind, number] = /^(.*?)-?(\d*)$/.exec(id || "") || [];
    const candidates = [id, number && `${kind}-${number - 1}`, fallback, "list-heading"];
    for (const candidate of candidates) {
      const element = candidate && document.getElementById(candidate);
      if (!element) continue;
      element.focus({ preventScroll: element.id !== "similar-heading" });
      if (document.activeElement === element) return; // a hidden element takes no focus
    }
  };

  const openItems = () => [...document.querySelectorAll("details[open]")].map((details) => details.closest("[data-item]")?.dataset.item);

  const reopen = (items) => {
    for (const card of document.querySelectorAll("[data-item]")) {
      const details = card.querySelector("details");
      if (details && items.includes(card.dataset.item)) details.open = true;
    }
  };

  // Applies what a link changes to the current address, which may have changed since the click.
  const rebased = (link, from, now) => {
    const url = new URL(link);
    for (const name of ["item", "without"]) {
      const [linked, before, after] = [link, from, now].map((address) => address.searchParams.getAll(name));
      const kept = after.filter((value) => linked.includes(value) || !before.includes(value));
      const added = linked.filter((value) => !before.includes(value) && !kept.includes(value));
      url.searchParams.delete(name);
      for (const value of [...kept, ...added]) url.searchParams.append(name, value);
    }
    const fields = ORDER.flatMap((name) => url.searchParams.getAll(name).map((value) => [name, value]));
    url.search = new URLSearchParams(fields);
    return url;
  };

  // Tasks run one after the other, so that no quick click is lost.
  const queue = (task) => {
    shown = shown.then(task).catch((error) => console.error(error));
  };

  const show = (address, options = {}) => {
    const [url, from] = [new URL(address, location.href), new URL(location.href)];
    const isNew = options.isNew || options.push === false;
    queue(() => load(isNew ? url : rebased(url, from, new URL(location.href)), options));
  };

  const load = async (url, { push = true, focus = "", fallback = "" } = {}) => {
    let html;
    try {
      html = await fetched(`fragment${url.search}`);
    } catch {
      location.assign(url); // no answer: let the browser say why
      return;
    }
    const opened = openItems();
    const fresh = replaceParts(html);
    if (!fresh.length) {
      location.assign(url);
      return;
    }
    reopen(opened);
    const query = url.searchParams.get("q") || "";
    // Text that was typed meanwhile stays in the field, unless the link searches for something else.
    const isOther = !push || query !== (new URL(location.href).searchParams.get("q") || "");
    if (isOther) document.getElementById("q").value = query;
    if (push) history.pushState(null, "", url);
    const list = document.getElementById("list");
    document.title = list.dataset.title;
    document.getElementById("user").value = url.searchParams.get("user") || "";
    say(list.dataset.announce);
    if (url.hash === "#similar") fallback = focus = "similar-heading";
    if (focus || fallback) keepFocus(focus, fallback);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-live-link]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const url = new URL(link.href);
    const typed = document.getElementById("q").value.trim();
    if (typed && url.searchParams.has("q")) url.searchParams.set("q", typed); // the link has an older search
    show(url, { focus: link.id, fallback: link.closest("#history") ? "history-heading" : "list-heading" });
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.getAttribute("action") !== "./") return;
    event.preventDefault();
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) fields.append(name, value);
    const isSearch = form.id === "search";
    show(`./?${fields}`, isSearch ? { focus: "q" } : { isNew: true, fallback: "list-heading" });
  });

  window.addEventListener("popstate", () => show(location.href, { push: false }));

  // Search as you type: only the results and the address change.
  document.addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(pause);
    pause = setTimeout(() => queue(search), TYPING_PAUSE);
  });

  const search = async () => {
    const url = new URL(location.href);
    const text = document.getElementById("q").value.trim();
    if (text) url.searchParams.set("q", text);
    else url.searchParams.delete("q");
    url.hash = "";
    try {
      replaceParts(await fetched(`search${url.search}`));
    } catch {
      return; // no answer: the earlier results stay
    }
    history.replaceState(null, "", url);
    say(document.getElementById("results").dataset.announce);
  };

  // Arrow keys move from the field through the results and back.
  document.addEventListener("keydown", (event) => {
    const inField = event.target.id === "q";
    const result = event.target.closest?.("#results a");
    if (!inField && !result) return;
    const stops = [document.getElementById("q"), ...document.querySelectorAll("#results a")];
    const here = stops.indexOf(inField ? stops[0] : result);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && result) stops[0].focus();
    else if (step && stops[here + step]) stops[here + step].focus();
    else return;
    event.preventDefault();
  });
})();
