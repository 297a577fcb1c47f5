/* The case view: state in the address, controls, keyboard, touch. planes.js paints. */
"use strict";

(() => {
  const P = segbenchPlanes;
  const { methods: allMethods, cases } = segbenchCases;
  const MODES = ["prediction", "error", "reference", "none"];
  const MAX_METHODS = 3;
  const root = document.getElementById("view");
  const state = {
    case: "", step: null, methods: [], labels: null, mode: "prediction", at: null, opacity: 0.4,
    outlines: true, image: true, low: 0, high: 255, zoom: 1, pan: [[0, 0], [0, 0], [0, 0]],
    click: -1, crosshair: true,
  };
  let loaded = null; // the case: data, grid, image, reference, label maps by method
  let busy = 0; // number of the last request: an older one that ends later is dropped
  let active = 0; // plane of the keyboard

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([key, value]) => {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
    });
    children.flat().forEach((child) => made.append(child)); // strings become text, never markup
    return made;
  }

  // ---- the address ---------------------------------------------------------------------------

  function readAddress() {
    const found = new URLSearchParams(location.hash.slice(1));
    state.case = found.get("case") || (cases.find((each) => each.amount !== "none") || cases[0] || {}).name || "";
    const number = (key, otherwise) => {
      const value = Number.parseFloat(found.get(key));
      return Number.isFinite(value) ? value : otherwise;
    };
    state.step = found.has("step") ? Math.round(number("step", 0)) : null;
    state.methods = found.getAll("method").filter((name) => allMethods.includes(name));
    state.labels = found.has("label")
      ? new Set(found.getAll("label").map(Number).filter(Number.isFinite)) : null;
    state.mode = MODES.includes(found.get("show")) ? found.get("show") : "prediction";
    const at = (found.get("at") || "").split(",").map(Number);
    state.at = at.length === 3 && at.every(Number.isFinite) ? at.map(Math.round) : null;
    state.outlines = found.get("outlines") !== "no";
    state.image = found.get("image") !== "no";
    state.opacity = Math.min(Math.max(number("opacity", 0.4), 0), 1);
    state.low = number("low", 0); state.high = number("high", 255);
  }

  function address() {
    const found = new URLSearchParams();
    found.append("case", state.case);
    state.methods.forEach((name) => found.append("method", name));
    found.append("step", state.step);
    if (loaded && state.labels.size < loaded.data.labels.length) {
      state.labels.forEach((label) => found.append("label", label));
    }
    if (state.mode !== "prediction") found.append("show", state.mode);
    if (state.at) found.append("at", state.at.join(","));
    if (!state.outlines) found.append("outlines", "no");
    if (!state.image) found.append("image", "no");
    if (state.opacity !== 0.4) found.append("opacity", state.opacity);
    if (state.low !== 0) found.append("low", state.low);
    if (state.high !== 255) found.append("high", state.high);
    return `#${found.toString().replace(/\+/g, "%20").replace(/%2C/g, ",")}`;
  }

  const storeAddress = () => history.replaceState(null, "", address());

  function goToCase(name) {
    location.hash = `case=${encodeURIComponent(name)}`
      + state.methods.map((method) => `&method=${encodeURIComponent(method)}`).join("");
  }

  // ---- loading -------------------------------------------------------------------------------

  const waiting = new Map();
  window.segbenchCase = (id, data) => { if (waiting.has(id)) waiting.get(id)(data); };

  function fetchCase(id) {
    return new Promise((resolve, reject) => {
      waiting.set(id, (data) => { waiting.delete(id); resolve(data); });
      const script = element("script", {
        src: `cases/${String(id).padStart(5, "0")}.js`,
        onload: () => script.remove(),
        onerror: () => { script.remove(); reject(new Error("its data file is not there")); },
      });
      document.head.append(script);
    });
  }

  async function load() {
    readAddress();
    const number = ++busy;
    const listed = cases.find((each) => each.name === state.case);
    document.getElementById("title").textContent = state.case || "Case view";
    document.title = state.case ? `${state.case}: case view` : "Case view";
    if (!listed) { message(`No case is called ${state.case || "so"}.`); return; }
    if (listed.amount === "none") {
      loaded = null;
      const why = listed.why || "no pictures were asked for";
      message(`${listed.name} has scores only: ${why}.`, scoresOf(listed));
      return;
    }
    if (!loaded || loaded.listed !== listed) {
      message("Loading …");
      try {
        const data = await fetchCase(listed.id);
        const grid = new P.Grid(data);
        const image = data.image && await P.unpackedParts(data.image);
        const reference = await P.unpackedParts(data.reference);
        const maps = new Map(data.methods.map((each) => [each.name, new P.LabelMaps(each.steps)]));
        if (number !== busy) return;
        loaded = { listed, data, grid, image, reference, maps };
        state.zoom = 1; state.pan = [[0, 0], [0, 0], [0, 0]]; state.click = -1;
      } catch (error) {
        if (number === busy) message(`${listed.name} cannot be shown: ${error.message}.`);
        return;
      }
    }
    complete();
    build();
    await show();
  }

  /* Fill in what the address leaves open. */
  function complete() {
    const { data, grid } = loaded;
    const names = data.methods.map((each) => each.name);
    state.methods = state.methods.filter((name) => names.includes(name)).slice(0, MAX_METHODS);
    if (!state.methods.length) state.methods = names.slice(0, Math.min(2, names.length));
    const steps = allSteps();
    if (!steps.includes(state.step)) state.step = steps[steps.length - 1];
    const known = state.labels ? [...state.labels].filter((l) => data.labels.includes(l)) : [];
    state.labels = new Set(known.length ? known : data.labels);
    if (!state.at) {
      const clicks = clicksUpTo(state.methods[0]);
      state.at = clicks.length ? [...clicks[clicks.length - 1].at] : startVoxel();
    }
    state.at = state.at.map((index, axis) => grid.nearest(axis, index));
  }

  /* The middle slices of what is stored. */
  const startVoxel = () => [0, 1, 2].map((axis) => {
    const there = loaded.grid.indices(axis);
    return there[Math.floor(there.length / 2)];
  });

  const methodData = (name) => loaded.data.methods.find((each) => each.name === name);

  function allSteps() {
    const found = loaded.data.methods.flatMap((each) => each.steps.map((step) => step.step));
    return [...new Set(found)].sort((a, b) => a - b);
  }

  /* The clicks of a method up to the step, numbered by their step. */
  function clicksUpTo(name) {
    return methodData(name).steps.filter((step) => step.step <= state.step)
      .flatMap((step) => step.clicks.map((click) => ({ ...click, number: step.step })));
  }

  // ---- the frame -----------------------------------------------------------------------------

  function message(text, ...more) {
    root.replaceChildren(caseControls(), element("p", { class: "message", role: "status" }, text), ...more);
  }

  function scoresOf(listed) {
    return element("ul", {}, allMethods.map((name, i) => element("li", {}, listed.scores[i]
      ? `${name}: final DSC ${listed.scores[i][2].toFixed(4)}, NSD ${listed.scores[i][3].toFixed(4)}`
      : `${name}: not scored`)));
  }

  function caseControls() {
    const names = cases.map((each) => each.name);
    const move = (by) => () => {
      const to = names.indexOf(state.case) + by;
      if (to >= 0 && to < names.length) goToCase(names[to]);
    };
    return element("div", { class: "controls" },
      element("button", { type: "button", id: "previous-case", onclick: move(-1) }, "Previous"),
      element("label", {}, "Case", element("select", {
        id: "case", onchange: (event) => goToCase(event.target.value),
      }, names.map((name) => element("option", { value: name, selected: name === state.case }, name)))),
      element("button", { type: "button", id: "next-case", onclick: move(1) }, "Next"),
      element("button", { type: "button", id: "copy-link", onclick: copyLink }, "Copy link"),
      element("button", { type: "button", id: "help", onclick: showHelp }, "Keys (?)"));
  }

  function check(id, text, on, change) {
    return element("label", { class: "check" },
      element("input", { type: "checkbox", id, checked: on, onchange: (event) => change(event.target.checked) }), text);
  }

  function range(id, title, low, high, by, value, change) {
    return element("label", {}, element("span", {}, title, " ", element("output", { id: `${id}-value` }, String(value))),
      element("input", {
        type: "range", id, min: low, max: high, step: by, value,
        oninput: (event) => {
          change(Number(event.target.value));
          document.getElementById(`${id}-value`).textContent = event.target.value;
        },
      }));
  }

  function build() {
    const { data } = loaded;
    const steps = allSteps();
    const [low, high] = data.scale;
    const methodBoxes = data.methods.map((each, i) => check(`method-${i}`, each.name,
      state.methods.includes(each.name), (on) => toggleMethod(each.name, on)));
    const labelBoxes = data.labels.map((label) => check(`label-${label}`, String(label),
      state.labels.has(label), (on) => {
        if (on) state.labels.add(label); else state.labels.delete(label);
        show();
      }));
    const group = (title, boxes) => element("fieldset", {}, element("legend", {}, title), boxes);
    const controls = element("div", { class: "controls", id: "controls" },
      range("step", "Step", steps[0], steps[steps.length - 1], 1, state.step, (value) => setStep(value)),
      element("label", {}, "Go to click", element("select", {
        id: "click", onchange: (event) => goToClick(Number(event.target.value)),
      })),
      element("label", {}, "Show", element("select", {
        id: "mode", onchange: (event) => { state.mode = event.target.value; show(); },
      }, MODES.map((mode) => element("option", { value: mode, selected: mode === state.mode }, mode)))),
      check("outlines", "outlines", state.outlines, (on) => { state.outlines = on; show(); }),
      range("opacity", "Opacity", 0, 1, 0.05, state.opacity, (value) => { state.opacity = value; show(); }),
      data.image ? check("image", "image", state.image, (on) => { state.image = on; show(); }) : "",
      data.image ? range("low", `Darkest (${low} to ${high})`, 0, 254, 1, state.low,
        (value) => { state.low = value; show(); }) : "",
      data.image ? range("high", "Brightest", 1, 255, 1, state.high,
        (value) => { state.high = value; show(); }) : "",
      range("zoom", "Zoom", 1, 8, 0.25, state.zoom, (value) => setZoom(value)),
      group(`Methods (up to ${MAX_METHODS})`, methodBoxes),
      group("Labels", labelBoxes));
    const kept = data.kept ? element("p", { class: "notes" }, "Only the slices through the clicks and "
      + "through the middle of the reference are stored for this case.") : "";
    root.replaceChildren(caseControls(), element("p", { class: "notes", id: "facts" }, facts()),
      controls, legend(), kept,
      element("div", { class: "methods", id: "methods" }, state.methods.map(methodFrame)));
  }

  function facts() {
    const { data } = loaded;
    const spacing = data.spacing.map((mm) => Number(mm.toPrecision(4))).join(" x ");
    return `${data.modality}${data.dataset ? `, ${data.dataset}` : ""}; ${data.shape.join(" x ")} voxels of `
      + `${spacing} mm (z, y, x)`;
  }

  function legend() {
    const swatch = (colour, text) => element("span", {},
      element("i", { style: `background: ${colour}` }), text);
    const errors = Object.entries({ right: "right", tooMuch: "too much", missed: "missed" })
      .map(([key, text]) => swatch(`rgb(${P.ERRORS[key]})`, text));
    const labels = loaded.data.labels.slice(0, 12)
      .map((label) => swatch(`rgb(${P.labelColour(label)})`, `label ${label}`));
    return element("p", { class: "legend", id: "legend" }, state.mode === "error" ? errors : labels,
      element("span", {}, "white dashes: reference"),
      state.mode === "error" ? element("span", {}, "yellow line: prediction") : "",
      element("span", {}, "green disc: positive click"), element("span", {}, "red square: negative click"));
  }

  function methodFrame(name, m) {
    const planes = P.AXES.map((axis, a) => element("figure", { class: "plane" },
      element("canvas", {
        id: `plane-${m}-${a}`, tabindex: 0, role: "img", "data-axis": a, "data-method": m,
        "aria-label": `${name}, ${axis.name} slice`,
      }), element("figcaption", { id: `caption-${m}-${a}` })));
    planes.forEach((figure, a) => listen(figure.firstChild, m, a));
    return element("section", { class: "method" }, element("h2", {}, name),
      element("p", { class: "scores", id: `scores-${m}` }),
      element("div", { class: "planes" }, planes),
      element("div", { id: `curve-${m}` }));
  }

  // ---- painting ------------------------------------------------------------------------------

  async function show() {
    const number = ++busy;
    const maps = await Promise.all(state.methods.map((name) => loaded.maps.get(name).at(state.step)));
    if (number !== busy) return;
    state.methods.forEach((name, m) => paintMethod(name, m, maps[m]));
    fillClicks();
    document.getElementById("step").value = state.step;
    document.getElementById("step-value").textContent = String(state.step);
    document.getElementById("mode").value = state.mode;
    document.getElementById("legend").replaceWith(legend());
    root.dataset.painted = String(number); // for tests: all that was asked for is on the page
    storeAddress();
  }

  function viewOf(name, prediction) {
    const first = methodData(name).steps[0];
    return {
      grid: loaded.grid, image: state.image ? loaded.image : null, reference: loaded.reference,
      prediction, mode: state.mode, opacity: state.opacity, filled: true, outlines: state.outlines,
      labels: state.labels, low: state.low, high: state.high, at: state.at, zoom: state.zoom,
      pan: state.pan, boxes: first ? first.boxes : [], clicks: clicksUpTo(name),
      crosshair: state.crosshair,
    };
  }

  const places = new Map(); // of the planes, for the mouse

  function paintMethod(name, m, prediction) {
    P.AXES.forEach((axis, a) => {
      const canvas = document.getElementById(`plane-${m}-${a}`);
      const edge = Math.max(Math.round(canvas.clientWidth * Math.min(devicePixelRatio, 2)), 64);
      if (canvas.width !== edge) { canvas.width = edge; canvas.height = edge; }
      places.set(`${m}-${a}`, P.paint(canvas, viewOf(name, prediction), a));
      document.getElementById(`caption-${m}-${a}`).textContent = `${axis.name}, ${axis.letter} = ${state.at[a]}`;
    });
    const step = methodData(name).steps.find((each) => each.step === state.step);
    document.getElementById(`scores-${m}`).textContent = scoreText(step);
    document.getElementById(`curve-${m}`).replaceChildren(curve(name, m));
  }

  function scoreText(step) {
    if (!step) return "This method has no such step.";
    const scores = Object.entries(step.scores).filter(([label]) => state.labels.has(Number(label)))
      .map(([label, [dsc, nsd]]) => `label ${label}: DSC ${dsc.toFixed(3)}, NSD ${nsd.toFixed(3)}`);
    const shown = scores.length > 6 ? [...scores.slice(0, 6), `${scores.length - 6} more labels`] : scores;
    const failure = step.failure ? `; failed: ${step.failure}` : "";
    const mask = step.mask || step.failure ? "" : "; its label map was not kept";
    return `${shown.join("; ")}; ${step.seconds.toFixed(2)} s${failure}${mask}`;
  }

  /* DSC by step: a line for each label that is shown, the step marked. */
  function curve(name, m) {
    const svg = (tag, attributes, text) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
      if (text != null) made.textContent = text;
      return made;
    };
    const steps = methodData(name).steps;
    const all = allSteps();
    const x = (step) => 34 + 300 * (step - all[0]) / Math.max(all[all.length - 1] - all[0], 1);
    const y = (dsc) => 110 - 100 * dsc;
    const labels = [...state.labels].slice(0, 12);
    const drawing = svg("svg", { viewBox: "0 0 350 156", class: "curve", role: "img", "aria-label": `DSC of ${name} by step` });
    [0, 0.5, 1].forEach((value) => {
      drawing.append(svg("line", { x1: 34, x2: 334, y1: y(value), y2: y(value), class: "axis", "stroke-opacity": 0.4 }),
        svg("text", { x: 28, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    });
    all.forEach((step) => drawing.append(svg("text", { x: x(step), y: 129, "text-anchor": "middle" }, String(step))));
    drawing.append(svg("text", { x: 184, y: 150, "text-anchor": "middle" }, "DSC by step"),
      svg("line", { x1: x(state.step), x2: x(state.step), y1: 8, y2: 112, stroke: "currentColor", "stroke-dasharray": "3 3", id: `mark-${m}` }));
    labels.forEach((label) => {
      const points = steps.filter((step) => step.scores[label]).map((step) => [x(step.step), y(step.scores[label][0])]);
      drawing.append(svg("polyline", {
        points: points.map((point) => point.join(",")).join(" "), fill: "none",
        stroke: `rgb(${P.labelColour(label)})`, "stroke-width": 2,
      }));
      points.forEach(([cx, cy]) => drawing.append(svg("circle", { cx, cy, r: 3, fill: `rgb(${P.labelColour(label)})` })));
    });
    return drawing;
  }

  function fillClicks() {
    const clicks = clicksUpTo(state.methods[0]);
    const select = document.getElementById("click");
    const text = (click) => `${click.number}: label ${click.label}, ${click.positive ? "positive" : "negative"}`;
    select.replaceChildren(element("option", { value: -1 }, clicks.length ? `${clicks.length} clicks` : "no clicks"),
      ...clicks.map((click, i) => element("option", { value: i, selected: i === state.click }, text(click))));
  }

  // ---- what a user does ----------------------------------------------------------------------

  function setStep(step) {
    const steps = allSteps();
    const to = Math.min(Math.max(step, steps[0]), steps[steps.length - 1]);
    if (to !== state.step) { state.step = to; state.click = -1; show(); }
  }

  function toggleMethod(name, on) {
    const chosen = state.methods.filter((each) => each !== name);
    if (on) chosen.push(name);
    if (!chosen.length) chosen.push(name);
    const order = loaded.data.methods.map((each) => each.name);
    state.methods = chosen.slice(-MAX_METHODS).sort((a, b) => order.indexOf(a) - order.indexOf(b));
    build();
    show();
  }

  function goToClick(number) {
    const click = clicksUpTo(state.methods[0])[number];
    if (!click) return;
    state.click = number;
    state.at = click.at.map((index, axis) => loaded.grid.nearest(axis, index));
    show();
  }

  function moveSlice(axis, by) {
    const there = loaded.grid.indices(axis);
    const to = Math.min(Math.max(there.indexOf(state.at[axis]) + by, 0), there.length - 1);
    state.at[axis] = there[to];
    show();
  }

  function setZoom(zoom) {
    state.zoom = Math.min(Math.max(zoom, 1), 8);
    if (state.zoom === 1) state.pan = [[0, 0], [0, 0], [0, 0]];
    const slider = document.getElementById("zoom");
    slider.value = state.zoom;
    document.getElementById("zoom-value").textContent = slider.value;
    show();
  }

  function position(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  function pick(canvas, m, a, event) {
    const { row, column } = P.AXES[a];
    const [r, c] = places.get(`${m}-${a}`).voxel(...position(canvas, event));
    state.at[row] = loaded.grid.nearest(row, r);
    state.at[column] = loaded.grid.nearest(column, c);
    show();
  }

  /* One pointer moves the crosshair, or the picture with Shift; two zoom. */
  function listen(canvas, m, a) {
    const pointers = new Map();
    let apart = 0;
    const distance = () => {
      const [first, second] = [...pointers.values()];
      return Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) apart = distance();
      else if (!event.shiftKey) pick(canvas, m, a, event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const before = pointers.get(event.pointerId);
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) {
        setZoom(state.zoom * distance() / Math.max(apart, 1));
        apart = distance();
      } else if (event.shiftKey) {
        const scale = canvas.width / canvas.getBoundingClientRect().width;
        state.pan[a] = [state.pan[a][0] + (event.clientX - before.clientX) * scale,
          state.pan[a][1] + (event.clientY - before.clientY) * scale];
        show();
      } else pick(canvas, m, a, event);
    });
    const end = (event) => pointers.delete(event.pointerId);
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("focus", () => { active = a; });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) setZoom(state.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
      else moveSlice(a, event.deltaY < 0 ? 1 : -1);
    }, { passive: false });
  }

  // ---- keyboard ------------------------------------------------------------------------------

  const KEYS = [
    ["← →", "step before, step after"], ["↑ ↓", "slice up, slice down in the active plane"],
    ["1 2 3", "axial, coronal, sagittal becomes active"], ["c, Shift+c", "next click, click before"],
    ["m", "show prediction, error, reference or none"], ["o", "outlines on or off"],
    ["i", "image on or off"], ["x", "crosshair on or off"], ["+ − 0", "zoom in, out, off"],
    ["[ ]", "brightest value down, up"], ["n p", "next case, case before"],
    ["g", "to the gallery"], ["l", "copy a link to this view"], ["?", "these keys"],
  ];

  function showHelp() {
    const dialog = element("dialog", { id: "keys", "aria-label": "Keys" }, element("h2", {}, "Keys"),
      element("dl", {}, KEYS.flatMap(([key, text]) => [element("dt", {}, key), element("dd", {}, text)])),
      element("p", {}, "Drag: crosshair. Shift and drag: move the picture. Wheel: slices. Ctrl and wheel, or two fingers: zoom."),
      element("button", { type: "button", onclick: () => dialog.close() }, "Close"));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  async function copyLink() {
    storeAddress();
    const button = document.getElementById("copy-link");
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "It is in the address bar";
    }
    setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  }

  function stepThroughClicks(by) {
    const clicks = clicksUpTo(state.methods[0]);
    if (clicks.length) goToClick((state.click + by + clicks.length) % clicks.length);
  }

  const ACTIONS = {
    ArrowLeft: () => setStep(state.step - 1), ArrowRight: () => setStep(state.step + 1),
    ArrowUp: () => moveSlice(active, 1), ArrowDown: () => moveSlice(active, -1),
    1: () => focusPlane(0), 2: () => focusPlane(1), 3: () => focusPlane(2),
    c: () => stepThroughClicks(1), C: () => stepThroughClicks(-1),
    m: () => { state.mode = MODES[(MODES.indexOf(state.mode) + 1) % MODES.length]; show(); },
    o: () => toggle("outlines"), i: () => toggle("image"), x: () => toggle("crosshair"),
    "+": () => setZoom(state.zoom * 1.25), "=": () => setZoom(state.zoom * 1.25),
    "-": () => setZoom(state.zoom / 1.25), 0: () => setZoom(1),
    "[": () => brightest(-8), "]": () => brightest(8),
    n: () => document.getElementById("next-case").click(),
    p: () => document.getElementById("previous-case").click(),
    g: () => { location.href = "cases.html"; }, l: copyLink, "?": showHelp,
  };

  function toggle(name) {
    state[name] = !state[name];
    const box = document.getElementById(name);
    if (box) box.checked = state[name];
    show();
  }

  function brightest(by) {
    state.high = Math.min(Math.max(state.high + by, 1), 255);
    const slider = document.getElementById("high");
    if (slider) { slider.value = state.high; document.getElementById("high-value").textContent = slider.value; }
    show();
  }

  function focusPlane(axis) {
    active = axis;
    document.getElementById(`plane-0-${axis}`).focus({ preventScroll: true });
  }

  document.addEventListener("keydown", (event) => {
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey || inField || document.querySelector("dialog[open]")) return;
    const action = ACTIONS[event.key];
    const needsCase = !["n", "p", "g", "?"].includes(event.key);
    if (!action || (needsCase && !loaded)) return;
    event.preventDefault();
    action();
  });

  window.addEventListener("hashchange", () => { if (location.hash !== address()) load(); });
  window.addEventListener("resize", () => { if (loaded) show(); });
  load();
})();
