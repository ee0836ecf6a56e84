// A slice viewer: a modality in grey, and the outlines of the reference and of every method along the voxels' edges.
"use strict";
(async function () {
  const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [12, 5], [4, 2, 1, 2], [1, 5], [14, 3, 4, 3]];
  const { cases, regions } = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const byName = new Map(cases.map((embedded) => [embedded.name, embedded]));
  const canvas = document.querySelector("#viewer canvas");
  const context = canvas.getContext("2d");
  const names = Object.keys(cases[0].segmentations);
  const shown = { outlines: new Set(names.slice(0, 2)), regions: new Set(regions.map((region) => region.name)) };
  let current = null; // { case, images, labels }
  let asked = null; // name of the case that was opened last

  function load(url) {
    return new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = () => reject(new Error("a picture of this page is damaged"));
      image.src = url;
    });
  }

  // the grey values of a sheet, which are label values
  async function values(url) {
    const image = await load(url);
    const sheet = document.createElement("canvas");
    sheet.width = image.width;
    sheet.height = image.height;
    const pixels = sheet.getContext("2d");
    pixels.drawImage(image, 0, 0);
    const rgba = pixels.getImageData(0, 0, sheet.width, sheet.height).data;
    const labels = new Uint8Array(sheet.width * sheet.height);
    for (let index = 0; index < labels.length; index++) labels[index] = rgba[4 * index];
    return labels;
  }

  async function loadAll(urls, how) {
    const entries = Object.entries(urls).map(async ([name, url]) => [name, await how(url)]);
    return Object.fromEntries(await Promise.all(entries));
  }

  function corner(index) {
    const { columns, width, height } = current.case;
    return [(index % columns) * width, Math.floor(index / columns) * height];
  }

  // edges of the pixels of a region against those outside it, as one path
  function outline(labels, index, region, zoom, aspect) {
    const { width, height, columns } = current.case;
    const [left, top] = corner(index);
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height &&
      region.values.includes(labels[(top + y) * columns * width + left + x]);
    const path = new Path2D();
    const line = (x0, y0, x1, y1) => {
      path.moveTo(x0 * zoom, y0 * zoom * aspect);
      path.lineTo(x1 * zoom, y1 * zoom * aspect);
    };
    // runs of edges are one line, so that dashes keep their rhythm
    for (let y = 0; y <= height; y++) {
      for (let x = 0, from = -1; x <= width; x++) {
        const edge = x < width && inside(x, y) !== inside(x, y - 1);
        if (edge && from < 0) from = x;
        if (!edge && from >= 0) { line(from, y, x, y); from = -1; }
      }
    }
    for (let x = 0; x <= width; x++) {
      for (let y = 0, from = -1; y <= height; y++) {
        const edge = y < height && inside(x, y) !== inside(x - 1, y);
        if (edge && from < 0) from = y;
        if (!edge && from >= 0) { line(x, from, x, y); from = -1; }
      }
    }
    return path;
  }

  function draw() {
    const { width, height, aspect, first, sides } = current.case;
    const index = Number(element("slice").value);
    const zoom = Math.max(2, Math.round(720 / width));
    canvas.width = width * zoom;
    canvas.height = Math.round(height * zoom * aspect);
    const [left, top] = corner(index);
    const image = current.images[element("modality").value];
    context.imageSmoothingEnabled = false;
    context.drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
    if (sides) { // of the patient, as in the figures
      context.fillStyle = "#fff";
      context.font = `${Math.round(canvas.width / 40)}px sans-serif`;
      context.textBaseline = "top";
      for (const [side, at] of [["R", 0.02], ["L", 0.98]]) {
        context.textAlign = side === "R" ? "left" : "right";
        context.fillText(side, at * canvas.width, 0.02 * canvas.height);
      }
    }
    context.lineWidth = 2;
    names.forEach((name, position) => {
      if (!shown.outlines.has(name)) return;
      context.setLineDash(DASHES[position % DASHES.length]);
      for (const region of regions) {
        if (!shown.regions.has(region.name)) continue;
        context.strokeStyle = region.colour;
        context.stroke(outline(current.labels[name], index, region, zoom, aspect));
      }
    });
    element("where").textContent = `slice ${first + index + 1}, ${element("modality").value}`;
  }

  function checkbox(parent, name, set, mark, note) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = name;
    box.checked = set.has(name);
    box.addEventListener("change", () => {
      if (box.checked) set.add(name); else set.delete(name);
      draw();
    });
    label.append(box, " ");
    label.insertAdjacentHTML("beforeend", mark); // made below, from numbers and colours alone
    label.append(name);
    if (note) {
      const said = document.createElement("span");
      said.className = "dice";
      said.textContent = note;
      label.append(said);
    }
    parent.append(label);
  }

  function dice(name) {
    const of = current.case.dice[name];
    if (!of) return "";
    return "Dice " + regions.map((r) => (of[r.name] === null ? "–" : of[r.name].toFixed(2))).join(" ");
  }

  // of a case that is not in this page: a script, since a page on a disk may load nothing else
  function fetchCase(name) {
    return new Promise((resolve, reject) => {
      const file = `${element("viewer").dataset.folder}/${encodeURIComponent(name)}.js`;
      const script = document.createElement("script");
      let found = null;
      window.showCase = (data) => { found = data; }; // what the file calls, just before it has loaded
      script.onload = () => found ? resolve(found) : reject(new Error(`${file} is damaged`));
      script.onerror = () => reject(new Error(`${file} is missing: keep that folder beside this page`));
      script.src = file;
      document.head.append(script);
      script.remove();
    });
  }

  async function openCase(name) {
    asked = name;
    delete canvas.dataset.ready;
    element("case").value = name;
    element("problem").textContent = "";
    try {
      await show(byName.get(name) ?? await fetchCase(name));
    } catch (error) {
      if (asked !== name) return;
      element("problem").textContent = error.message;
      if (current) element("case").value = current.case.name;
    }
  }

  async function show(chosen) {
    const modality = element("modality");
    const [images, labels] = await Promise.all([loadAll(chosen.images, load), loadAll(chosen.segmentations, values)]);
    if (asked !== chosen.name) return; // another one was opened meanwhile
    current = { case: chosen, images, labels };
    const kept = chosen.images[modality.value] ? modality.value : chosen.shown;
    modality.replaceChildren(...Object.keys(chosen.images).map((name) => new Option(name, name)));
    modality.value = kept;
    modality.closest("fieldset").hidden = modality.options.length < 2;
    element("slice").max = chosen.depth - 1;
    element("slice").value = chosen.start;
    element("outlines").replaceChildren();
    names.forEach((name, at) => {
      const dash = `<svg class="dash" width="26" height="8"><path d="M0 4H26" stroke="#333" stroke-width="2"
        stroke-dasharray="${DASHES[at % DASHES.length].join(" ")}"/></svg>`;
      checkbox(element("outlines"), name, shown.outlines, dash, dice(name));
    });
    draw();
    canvas.dataset.ready = "yes";
  }

  // whether there was a slice to move to
  function move(by) {
    const slice = element("slice");
    const before = slice.value;
    slice.value = Number(before) + by;
    draw();
    return slice.value !== before;
  }

  for (const region of regions) {
    const swatch = `<span class="swatch" style="background:${region.colour}"></span>`;
    checkbox(element("regions"), region.name, shown.regions, swatch);
  }
  element("slice").min = 0;
  element("slice").addEventListener("input", draw);
  element("modality").addEventListener("change", draw);
  element("case").addEventListener("change", () => openCase(element("case").value));
  document.addEventListener("open-case", (event) => {
    openCase(event.detail);
    element("viewer-section").scrollIntoView();
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("wheel", (event) => { if (move(Math.sign(event.deltaY))) event.preventDefault(); }, { passive: false });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons && event.pointerType !== "touch") move(Math.sign(event.movementY)); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) { event.preventDefault(); move(step); }
  });
  await openCase(cases[0].name);
})();
