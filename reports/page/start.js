"use strict";
// What is too large to stand in the page as it is was compressed: the later rows of long tables are
// handed to their bodies as text, then the scripts run, in their order. The page's policy lets these
// scripts run and no others.
(async () => {
  const unpack = async (element) => {
    const letters = atob(element.textContent);
    const bytes = new Uint8Array(letters.length);
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = letters.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const packed = (kind) => document.querySelectorAll(`script.packed-${kind}`);
  // A heavy script answers nobody for a second while it starts: it waits until nobody has pressed
  // or turned anything for a moment, and no longer than two seconds.
  const quiet = () => new Promise((go) => {
    const kinds = ["pointerdown", "keydown", "wheel"];
    const latest = performance.now() + 2000;
    let timer;
    const again = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        kinds.forEach((kind) => removeEventListener(kind, again, true));
        go();
      }, Math.min(300, latest - performance.now()));
    };
    kinds.forEach((kind) => addEventListener(kind, again, { capture: true, passive: true }));
    again();
  });
  try {
    for (const element of packed("rows")) {
      const body = element.parentElement;
      body.dataset.step = element.dataset.step;
      body.packedRows = await unpack(element); // rows.js makes elements of those that are drawn
      element.remove();
    }
    for (const element of packed("script")) {
      const script = document.createElement("script");
      script.textContent = await unpack(element);
      if (element.dataset.heavy) await quiet();
      element.replaceWith(script);
    }
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    const note = document.createElement("p");
    note.className = "empty";
    note.setAttribute("role", "alert");
    note.textContent = `Charts, sorting and filters need a browser of 2023 or later (${error.message}).`;
    document.querySelector("main").prepend(note);
    throw error;
  }
})();
