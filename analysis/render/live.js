"use strict";
// What a served page adds where scripts run: it follows the stream of events. Whatever is new, the
// page is asked for once more, and the parts that differ are taken over; nothing is drawn, computed
// or worded here, and no text becomes markup: the answer is parsed where no script runs.
(() => {
  const address = document.body.dataset.stream;
  if (!address) return; // a snapshot, or a page of a run
  const told = document.getElementById("stream");
  const EVERY_MS = 900; // at most once: the state comes each second
  let asked = 0, isNew = false, isBusy = false, hears = false, anew = "";

  // Attributes and texts change in place, so that focus, selection and scrolling stay.
  const adopt = (old, fresh) => {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(document.importNode(fresh, true));
    } else if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
    } else if (!old.hasAttribute("data-own")) {
      for (const { name } of [...old.attributes]) {
        const isOpened = old.nodeName === "DETAILS" && name === "open";
        if (!fresh.hasAttribute(name) && !isOpened) old.removeAttribute(name);
      }
      for (const { name, value } of fresh.attributes) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
      }
      const had = [...old.childNodes];
      const has = [...fresh.childNodes];
      has.forEach((each, place) => {
        if (place < had.length) adopt(had[place], each);
        else old.append(document.importNode(each, true));
      });
      had.slice(has.length).forEach((each) => each.remove());
    }
  };

  const say = (text, isLost) => {
    if (told.textContent !== text) told.textContent = text;
    document.body.classList.toggle("lost", isLost);
  };

  const refresh = async () => {
    isNew = true;
    if (isBusy) return;
    isBusy = true;
    while (isNew && !document.hidden) {
      await new Promise((done) => setTimeout(done, Math.max(0, asked + EVERY_MS - Date.now())));
      asked = Date.now();
      isNew = false;
      try {
        const answer = await fetch(location.href, { cache: "no-store" });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of ["header", "main"]) {
          adopt(document.querySelector(part), fresh.querySelector(part));
        }
        document.title = fresh.title;
        const { at, started } = fresh.body.dataset;
        const { started: before } = document.body.dataset;
        if (before && started && started !== before) {
          anew = ` The watch began anew at ${started}; its earlier runs have what it told before.`;
        }
        document.body.dataset.at = at;
        document.body.dataset.started = started || before;
        if (hears) say(`Live: each new second is shown.${anew}`, false);
      } catch {
        lost();
      }
    }
    isBusy = false;
  };

  const lost = () => {
    hears = false;
    say(`The connection is lost; this is the state of ${document.body.dataset.at}. Trying again.`, true);
  };

  const listen = () => {
    const stream = new EventSource(address);
    stream.addEventListener("open", () => { hears = true; refresh(); });
    stream.addEventListener("error", () => {
      lost();
      // The browser tries again by itself, but not after a refusal: the stream may be full.
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
    for (const kind of ["state", "bucket", "change", "alarm", "note", "gap"]) {
      stream.addEventListener(kind, refresh);
    }
  };
  document.addEventListener("visibilitychange", refresh);
  listen();
})();
