// What is wrong with how a display looks, as sentences: run in its page, with its element.
(card) => {
  const problems = [];
  const rgba = (words) => {
    const numbers = words.match(/[\d.]+/g).map(Number);
    const scale = words.startsWith("color(") ? 255 : 1;
    const [red, green, blue, alpha = 1] = numbers;
    return [red * scale, green * scale, blue * scale, alpha];
  };
  const over = (above, below) =>
    [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      layers.unshift(rgba(getComputedStyle(one).backgroundColor));
    }
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const name = (element) =>
    `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}">`;

  const host = card.closest(".jp-OutputArea-output, body").getBoundingClientRect();
  const edge = card.getBoundingClientRect();
  if (edge.width < 100 || edge.left < host.left - 0.5 || edge.right > host.right + 0.5) {
    problems.push(`the card is not inside its cell: ${edge.left}-${edge.right}, ${host.left}-${host.right}`);
  }
  if (card.scrollWidth > card.clientWidth) {
    problems.push("the card's content is wider than the card");
  }
  for (const element of card.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const outside = box.right > edge.right + 0.5 || box.left < edge.left - 0.5;
    const scrolls = element.closest(".pmo-grid"); // in a box of its own, which is looked at as well
    if ((outside && !scrolls) || box.bottom > edge.bottom + 0.5) {
      problems.push(`${name(element)} ends outside of the card: ${element.textContent.slice(0, 40)}`);
    }
    if (element.scrollWidth > element.clientWidth + 1 && style.display !== "inline") {
      if (element.matches(".pmo-scroll:not(:has(> .pmo-grid))")) {
        problems.push(`a table is scrolled: ${element.scrollWidth} > ${element.clientWidth}`);
      } else if (style.textOverflow === "ellipsis" && !element.title) {
        problems.push(`${name(element)} is cut, and nothing tells the rest: ${element.textContent}`);
      }
    }
    const words = [...element.childNodes].filter((one) => one.nodeType === 3 && one.data.trim());
    if (words.length && element.tagName !== "STYLE") {
      const below = ground(element);
      const ratio = contrast(over(rgba(style.color), below), below);
      if (ratio < 4.5 || style.opacity !== "1") {
        problems.push(`${name(element)} has a contrast of ${ratio.toFixed(2)}: ${words[0].data}`);
      }
      if (parseFloat(style.fontSize) < 10) {
        problems.push(`${name(element)} is set in ${style.fontSize}: ${words[0].data}`);
      }
    }
  }
  return problems;
}
