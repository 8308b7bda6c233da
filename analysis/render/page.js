"use strict";
// What a page adds where scripts run: values under the pointer, and one version at a time. The page
// is whole without it. Texts are set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("readings").textContent);
  const make = (name, attributes, text) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  let chosen = null;
  const again = [];

  for (const reading of data.figures) {
    const svg = document.getElementById(reading.figure);
    const frame = document.querySelector(`[id="${reading.figure}-${reading.panel}"] path`);
    const floor = document.querySelector(`[id="${reading.figure}-${reading.last}"] path`);
    if (!svg || !frame || !floor || !reading.at.length) continue;
    const name = `${reading.figure}-reader`;
    const slider = make("input", {
      type: "range", id: name, min: 0, max: reading.at.length - 1, value: reading.at.length - 1,
    });
    const output = make("output", { for: name });
    const controls = make("div", { class: "reader" });
    controls.append(make("label", { for: name }, reading.title), slider, output);
    svg.after(controls);
    const line = document.createElementNS(svg.namespaceURI, "line");
    line.setAttribute("class", "cursor");
    svg.append(line);

    const show = () => {
      const place = Number(slider.value);
      const box = frame.getBoundingClientRect();
      const whole = svg.getBoundingClientRect();
      if (!whole.width) return; // folded away
      const scale = svg.viewBox.baseVal.width / whole.width;
      const x = (box.left - whole.left + reading.at[place] * box.width) * scale;
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.setAttribute("y1", (box.top - whole.top) * scale);
      line.setAttribute("y2", (floor.getBoundingClientRect().bottom - whole.top) * scale);
      const rows = reading.rows.filter(
        (row) => chosen === null || row.version === null || row.version === chosen,
      );
      const lines = [reading.heads[place], ...rows.map((row) => row.texts[place])];
      output.replaceChildren(...lines.map((text) => make("span", {}, text)));
      slider.setAttribute("aria-valuetext", lines.join("; "));
    };
    slider.addEventListener("input", () => {
      svg.classList.add("read");
      show();
    });
    svg.addEventListener("pointermove", (event) => {
      const box = frame.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width;
      if (at < -0.05 || at > 1.05) return;
      let nearest = 0;
      reading.at.forEach((each, place) => {
        if (Math.abs(each - at) < Math.abs(reading.at[nearest] - at)) nearest = place;
      });
      slider.value = nearest;
      svg.classList.add("read");
      show();
    });
    again.push(show);
    show();
  }

  // What was folded away had no width to read values at.
  for (const fold of document.querySelectorAll("details")) {
    fold.addEventListener("toggle", () => again.forEach((show) => show()));
  }

  const figures = document.querySelector(".figures");
  if (figures && data.versions.length > 1) {
    const group = make("fieldset", { class: "versions" });
    group.append(make("legend", {}, "Version"));
    const choose = (version) => {
      chosen = version;
      for (const part of document.querySelectorAll("[data-version]")) {
        const other = version !== null && Number(part.dataset.version) !== version;
        part.classList.toggle("faded", other);
      }
      for (const show of again) show();
    };
    [[null, "all"], ...data.versions].forEach(([version, text], number) => {
      const radio = make("input", { type: "radio", name: "version", id: `version-${number}` });
      radio.checked = number === 0;
      radio.addEventListener("change", () => choose(version));
      const label = make("label", { for: `version-${number}` });
      label.append(make("bdi", {}, text));
      const choice = make("span", {});
      choice.append(radio, label);
      group.append(choice);
    });
    figures.before(group);
  }
})();
