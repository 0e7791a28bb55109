// Draws every chart of the page from the specification that lies beside it. Colours are CSS variables: nothing is redrawn
// when the page turns dark or is printed. `ast` keeps Vega from building functions out of text, which the policy forbids.
"use strict";
for (const place of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  vegaEmbed(place, spec, {
    actions: false,
    ast: true,
    defaultStyle: false,
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  }).catch((problem) => {
    place.textContent = "This chart could not be drawn: " + problem.message;
  });
}
