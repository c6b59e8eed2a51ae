/**
 * Brings the page up to date: changes what has changed in the parts that show data and leaves alone the
 * form, the focus and whatever is unfolded or scrolled. Says so when there is no answer.
 */
export const script = `(() => {
  const everyMs = 4000;
  // When the mode has just been set: the server remembers a status for two seconds.
  const firstMs = location.search.startsWith("?flipped") ? 2200 : everyMs;
  const deadlineMs = 15000;
  const partsOf = (root) => [...root.querySelectorAll("[data-part]")];
  if (partsOf(document).length === 0) return;
  let timer;
  let updating = false;

  function update(old, fresh) {
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    const children = [...fresh.childNodes];
    const before = [...old.childNodes];
    children.forEach((child, index) => {
      if (before[index] === undefined) old.append(child);
      else update(before[index], child);
    });
    for (const child of before.slice(children.length)) child.remove();
  }

  function sayStale(why) {
    const freshness = document.querySelector("[data-part=freshness]");
    const time = freshness.querySelector("time");
    freshness.className = "freshness stale";
    freshness.replaceChildren(why + " These numbers are from ", time, ".");
    document.documentElement.classList.add("stale");
  }

  async function load() {
    try {
      const options = { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(deadlineMs) };
      const response = await fetch("?fragment", options);
      if (response.status === 403) return sayStale("You are not allowed to see this any more.");
      if (!response.ok) return sayStale("The database does not answer.");
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      const parts = new Map(partsOf(fresh).map((part) => [part.dataset.part, part]));
      for (const part of partsOf(document)) {
        if (parts.has(part.dataset.part)) update(part, parts.get(part.dataset.part));
      }
      document.documentElement.classList.remove("stale");
    } catch {
      sayStale("The server does not answer.");
    }
  }

  async function refresh() {
    clearTimeout(timer);
    if (updating || document.hidden) return;
    updating = true;
    await load();
    updating = false;
    timer = setTimeout(refresh, everyMs);
  }

  document.addEventListener("visibilitychange", refresh);
  timer = setTimeout(refresh, firstMs);
})();`;
