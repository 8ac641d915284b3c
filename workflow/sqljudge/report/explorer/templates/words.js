// Elements and wording that all parts share. Texts enter the page as text only.
"use strict";

(() => {
  // An element with attributes, and children that are elements or plain text.
  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  const TAGS = {
    right: "right",
    wrong: "wrong",
    rescued: "rescued by re-ranking",
    broken: "broken by re-ranking",
    no_verdict: "no verdict at all",
    some_no_verdict: "no verdict on some candidate",
  };
  const SHORT = { rescued: "rescued", broken: "broken", no_verdict: "no verdict", some_no_verdict: "some without verdict" };
  const shortTag = (tag) => SHORT[tag] ?? TAGS[tag];

  // Tags to show: what another one implies is left out.
  const spoken = (tags) => tags.filter((tag) => !(tag === "some_no_verdict" && tags.includes("no_verdict")));

  const mark = (right) => (right === null ? "?" : right ? "✓" : "✗");
  const rightness = (right) => (right === null ? "undecided" : right ? "right" : "wrong");

  function badge(right, text = rightness(right)) {
    return el("span", { class: `badge ${rightness(right)}` }, `${mark(right)} ${text}`);
  }

  const plural = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
  const number = (value) => value.toFixed(3);

  function poolName(index, pool) {
    if (pool === index.labelled) return "labelled pool";
    const dot = pool.lastIndexOf(".");
    const generator = pool.slice(0, dot);
    return `${index.names[generator] ?? generator} (${pool.slice(dot + 1)})`;
  }

  const discriminatorName = (index, name) => (name ? index.names[name] ?? name : "none (first query)");

  // A discriminator without a model has neither context nor budget.
  const budgetName = (setting) => (setting.reasons ? `${setting.budget} tokens` : setting.context ? "one pass" : "");
  const valueName = (index, setting, name) => index.words[name][setting[name]] ?? setting[name];
  const scoringName = (index, setting) => ["scoring", "mode"].map((name) => valueName(index, setting, name)).filter(Boolean).join(", ");
  const howNames = (index, setting) =>
    [valueName(index, setting, "context"), budgetName(setting), scoringName(index, setting)].filter(Boolean);

  const PLANNERS = { rerank: "re-ranking by", vote: "majority of results, weighed by" };
  const plannerOf = (index, name) => PLANNERS[name] ?? `${index.names[name] ?? name} with`;
  const plannerName = (index, setting) =>
    setting.discriminator ? `${plannerOf(index, setting.planner)} ${discriminatorName(index, setting.discriminator)}` : "greedy";

  function settingName(index, setting) {
    if (!setting.discriminator) return poolName(index, setting.pool);
    const words = { rerank: [], vote: ["majority of results"] };
    const planner = words[setting.planner] ?? [index.names[setting.planner] ?? setting.planner];
    return [poolName(index, setting.pool), ...howNames(index, setting), ...planner].join(" · ");
  }

  // A grid of cells, each text or an element; scrolls by itself when it is wider than its place.
  function grid(caption, headers, rows, attributes = {}) {
    const head = headers.map((header) => el("th", { scope: "col" }, header));
    const body = rows.map((row) => el("tr", {}, row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : el("td", {}, cell)))));
    const parts = headers.length ? [el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)] : [el("tbody", {}, body)];
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, el("table", attributes, parts));
  }

  Object.assign(explorer, {
    el, TAGS, shortTag, spoken, mark, rightness, badge, plural, number, poolName, discriminatorName, plannerName, budgetName, valueName, scoringName, howNames, settingName, grid,
  });
})();
