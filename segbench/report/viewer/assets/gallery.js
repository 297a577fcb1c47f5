/* The gallery: sorting, filtering and pages over the list of all cases. Without this script, each
   page shows its own fifty. */
"use strict";

(() => {
  const PER_PAGE = 50;
  const { methods, measures, cases } = segbenchCases;
  const measureNames = Object.keys(measures);
  const form = document.getElementById("filters");
  const gallery = document.getElementById("gallery");
  const state = Object.assign({ sort: "name", page: 0 }, read());

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([key, value]) => {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
    });
    children.flat().forEach((child) => made.append(child)); // strings become text, never markup
    return made;
  }

  function read() {
    const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (found.page) found.page = Math.max(0, Number.parseInt(found.page, 10) - 1 || 0);
    return found;
  }

  function store() {
    const kept = Object.entries(state).filter(([key, value]) =>
      value !== "" && value != null && !(key === "page" && value === 0)
      && !(key === "sort" && value === "name"));
    const written = kept.map(([key, value]) => [key, key === "page" ? value + 1 : value]);
    const hash = new URLSearchParams(written).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
  }

  const values = (key) => [...new Set(cases.map((each) => each[key]))].sort();

  function choice(key, title, options) {
    const select = element("select", {
      name: key,
      onchange: (event) => { state[key] = event.target.value; state.page = 0; show(); },
    }, options.map(([value, text]) =>
      element("option", { value, selected: String(state[key] || "") === String(value) }, text)));
    return element("label", {}, title, select);
  }

  function number(key, title) {
    return element("label", {}, title, element("input", {
      type: "number", name: key, min: 0, max: 1, step: 0.05, value: state[key] || "",
      oninput: (event) => { state[key] = event.target.value; state.page = 0; show(); },
    }));
  }

  function buildForm() {
    const all = [["", "all"]];
    const plain = (key) => [...all, ...values(key).map((value) => [value, value || "none"])];
    const labels = [...new Set(cases.flatMap((each) => each.labels))].sort((a, b) => a - b);
    const sorts = [["name", "name"], ["difference", "largest difference between methods"],
      ...methods.flatMap((method, i) => [[`low-${i}`, `${method}: lowest DSC first`],
        [`high-${i}`, `${method}: highest DSC first`]])];
    form.append(
      element("label", {}, "Name contains", element("input", {
        type: "search", name: "text", value: state.text || "",
        oninput: (event) => { state.text = event.target.value; state.page = 0; show(); },
      })),
      choice("modality", "Modality", plain("modality")),
      choice("dataset", "Data set", plain("dataset")),
      choice("boxes", "Boxes", [...all, ["yes", "with boxes"], ["no", "without"]]),
      choice("failed", "Failures", [...all, ["yes", "a method failed"], ["no", "none"]]),
      choice("label", "Label", [...all, ...labels.map((label) => [label, String(label)])]),
      choice("by", "Score of", [["", "any method"], ...methods.map((name, i) => [i, name])]),
      number("from", "DSC from"), number("to", "to"),
      choice("sort", "Order", sorts),
      element("button", { type: "button", onclick: () => {
        Object.keys(state).forEach((key) => delete state[key]);
        Object.assign(state, { sort: "name", page: 0 });
        form.replaceChildren(); buildForm(); show();
      } }, "Show all"),
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
  }

  const final = (each, i) => (each.scores[i] ? each.scores[i][2] : null);

  function inRange(each) {
    if (!state.from && !state.to) return true;
    const chosen = state.by ? [Number(state.by)] : methods.map((_, i) => i);
    return chosen.some((i) => {
      const score = final(each, i);
      return score !== null && score >= Number(state.from || 0) && score <= Number(state.to || 1);
    });
  }

  function matches(each) {
    return (!state.text || each.name.toLowerCase().includes(state.text.toLowerCase()))
      && (!state.modality || each.modality === state.modality)
      && (!state.dataset || each.dataset === state.dataset)
      && (!state.boxes || each.boxes === (state.boxes === "yes"))
      && (!state.failed || (each.failed.length > 0) === (state.failed === "yes"))
      && (!state.label || each.labels.includes(Number(state.label)))
      && inRange(each);
  }

  function ordered(list) {
    const [kind, i] = String(state.sort).split("-");
    const score = (each) => (final(each, Number(i)) === null ? Infinity : final(each, Number(i)));
    const keys = {
      difference: (each) => -each.difference,
      low: score,
      high: (each) => (score(each) === Infinity ? Infinity : -score(each)),
    };
    if (!keys[kind]) return list;
    return [...list].sort((a, b) => keys[kind](a) - keys[kind](b) || (a.name < b.name ? -1 : 1));
  }

  const link = (each) => `view.html#case=${encodeURIComponent(each.name)}`;
  const shown = (value) => (value === null ? "–" : value.toFixed(3));

  function card(each) {
    const file = `cases/${String(each.id).padStart(5, "0")}.png`;
    const picture = each.amount === "none"
      ? element("span", { class: "nothing" }, "no picture")
      : element("img", { src: file, alt: "", loading: "lazy" });
    const facts = element("p", {}, `${each.modality}, ${each.boxes ? "boxes" : "no boxes"}`);
    if (each.failed.length) {
      const title = `${each.failed.join(", ")}: ${each.reasons.join("; ")}`;
      facts.append(" ", element("strong", { class: "failed", title }, "failed"));
    }
    if (each.difference) facts.append(`, difference ${each.difference.toFixed(3)}`);
    return element("article", { class: "card" },
      element("a", { href: link(each) }, picture, element("h2", {}, each.name)), facts,
      element("ul", {}, methods.map((name, i) =>
        element("li", {}, element("span", {}, name), element("b", {}, shown(final(each, i)))))));
  }

  function pages(count) {
    const total = Math.max(Math.ceil(count / PER_PAGE), 1);
    const place = document.getElementById("pages");
    place.replaceChildren("Page ", ...Array.from({ length: total }, (_, page) =>
      element("a", {
        href: "#", "aria-current": page === state.page && "page",
        onclick: (event) => { event.preventDefault(); state.page = page; show(); scrollTo(0, 0); },
      }, String(page + 1))));
  }

  function table(list) {
    const head = element("tr", {}, ["case", "modality", "data set", ...methods.flatMap((method) =>
      measureNames.map((measure) => `${method} ${measures[measure]}`))].map((title) =>
      element("th", {}, title)));
    const rows = list.map((each) => element("tr", {},
      element("td", {}, element("a", { href: link(each) }, each.name)),
      element("td", {}, each.modality), element("td", {}, each.dataset),
      each.scores.flatMap((scores) => measureNames.map((_, m) =>
        element("td", { class: "r" }, scores ? scores[m].toFixed(4) : "–")))));
    document.getElementById("all-scores").replaceChildren(
      element("table", {}, element("caption", {}, "The scores of these cases"),
        element("thead", {}, head), element("tbody", {}, rows)));
  }

  function show() {
    const found = ordered(cases.filter(matches));
    state.page = Math.min(state.page, Math.max(Math.ceil(found.length / PER_PAGE) - 1, 0));
    const part = found.slice(state.page * PER_PAGE, (state.page + 1) * PER_PAGE);
    gallery.replaceChildren(...part.map(card));
    const first = methods[0];
    document.getElementById("count").textContent = `${found.length} of ${cases.length} cases. `
      + `The reference in white, the final prediction of ${first} in yellow; scores: final DSC.`;
    pages(found.length);
    table(part);
    store();
  }

  const own = /cases-(\d+)\.html$/.exec(location.pathname);
  if (own && !location.hash) state.page = Number(own[1]) - 1;
  buildForm();
  show();
})();
