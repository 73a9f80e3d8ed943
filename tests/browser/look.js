// What a person would see to be wrong: returns a list of sentences, empty where all is well.
(() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1)
    found.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  for (const d of document.querySelectorAll("details")) d.open = true;
  const said = e => JSON.stringify((e.textContent || "").trim().slice(0, 40));

  const light = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const colour = text => (text.match(/[\d.]+/g) || []).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };

  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const name = svg.getAttribute("aria-label") || "a picture";
    if (!svg.querySelector(":scope > title")) found.push(`${name}: no title`);
    const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    const back = colour(getComputedStyle(svg.querySelector(":scope > rect")).fill);
    texts.forEach((t, i) => {
      const b = boxes[i];
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 || b.bottom > frame.bottom + 1)
        found.push(`${name}: ${said(t)} is cut off`);
      const ratio = contrast(colour(getComputedStyle(t).fill), back);
      if (ratio < 4.5) found.push(`${name}: ${said(t)} has a contrast of ${ratio.toFixed(1)}`);
      boxes.slice(0, i).forEach((a, j) => {
        const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (x > 1.5 && y > 0.35 * Math.min(a.height, b.height))
          found.push(`${name}: ${said(texts[j])} and ${said(t)} lie on each other`);
      });
    });
    const scale = svg.viewBox.baseVal ? frame.width / svg.viewBox.baseVal.width : 1;
    for (const t of texts) {
      const size = parseFloat(getComputedStyle(t).fontSize) * scale;
      if (size < 9.5) found.push(`${name}: ${said(t)} is ${size.toFixed(1)} px high`);
    }
    // the rows of a box stay inside it
    for (const g of svg.querySelectorAll("g")) {
      const box = g.querySelector(":scope > rect");
      if (!box || !g.querySelector(":scope > title")) continue;
      const r = box.getBoundingClientRect();
      for (const t of g.querySelectorAll(":scope > text[text-anchor=middle]")) {
        const b = t.getBoundingClientRect();
        if (b.left < r.left || b.right > r.right) found.push(`${name}: ${said(t)} is wider than its box`);
      }
    }
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || e.closest("svg, style, .skip") || !e.getClientRects().length) continue;
    const ratio = contrast(colour(getComputedStyle(e).color), ground(e));
    if (ratio < 4.5) found.push(`${said(e)} has a contrast of ${ratio.toFixed(1)}`);
    if (parseFloat(getComputedStyle(e).fontSize) < 11) found.push(`${said(e)} is smaller than 11 px`);
  }
  return [...new Set(found)];
})()
