"use strict";
(() => {
  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
  const shows = (row, wanted) => wanted.every((word) => row.textContent.toLowerCase().includes(word));
  const told = (form, count, all) => { form.elements.shown.value = `${count} of ${all} shown`; };
  const watch = (form, update) => {
    if (!form) return;
    form.hidden = false;
    form.addEventListener("input", update);
    form.addEventListener("reset", () => setTimeout(update));
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  };
  const filters = document.getElementById("filters");
  watch(filters, () => {
    const { claim, kind, numbers, state, words: search } = filters.elements;
    const wanted = words(search.value), active = Boolean(kind.value || numbers.value || state.value || wanted.length);
    let count = 0, all = 0;
    for (const card of document.querySelectorAll("details.claim")) {
      const here = !claim.value || card.dataset.claim === claim.value;
      let some = 0;
      for (const row of card.querySelectorAll("tr[data-state]")) {
        const fits = here && (!kind.value || row.dataset.kind === kind.value) && (!numbers.value || row.dataset.numbers === numbers.value)
          && (!state.value || row.dataset.state === state.value) && shows(row, wanted);
        row.hidden = !fits;
        some += fits;
        all += 1;
      }
      count += some;
      card.hidden = !here || (active && !some);
      if (active || claim.value) card.open = some > 0;
    }
    told(filters, count, all);
  });
  const bugs = document.getElementById("bug-filter");
  watch(bugs, () => {
    const wanted = words(bugs.elements.words.value);
    let count = 0, all = 0;
    for (const part of document.querySelectorAll("details.bugs")) {
      let some = 0;
      for (const row of part.querySelectorAll("tbody tr")) {
        const fits = shows(row, wanted);
        row.hidden = !fits;
        some += fits;
        all += 1;
      }
      count += some;
      part.hidden = !some;
      if (wanted.length) part.open = some > 0;
    }
    told(bugs, count, all);
  });
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") { part.open = true; part.hidden = false; }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
  const origins = document.getElementById("origins");
  origins.hidden = false;
  origins.addEventListener("click", () => {
    const on = document.body.classList.toggle("origins");
    origins.setAttribute("aria-pressed", String(on));
  });
})();
