// The page: its state is the address after #; filters, list and keys change the address, and the address the page.
"use strict";

(() => {
  const { el, TAGS, plural, shortTag, spoken, settingName, discriminatorName } = explorer;
  const FILTERS = ["s", "r", "hardness", "db", "discriminator", "setting", "outcome"];
  const GREEDY = "-";
  const place = (id) => document.getElementById(id);
  const items = new Map();
  let index;
  let matching = [];
  let showing = "";

  // --- state ---------------------------------------------------------------------------------------------------------

  const state = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

  function address(changes) {
    const values = { ...state(), ...changes };
    const kept = ["q", ...FILTERS].filter((name) => values[name]).map((name) => [name, values[name]]);
    return `#${new URLSearchParams(kept)}`;
  }

  const open = (key) => { location.hash = address({ q: key }); };
  const change = (changes) => location.replace(address(changes));

  // --- which questions match -----------------------------------------------------------------------------------------

  function prepare(question) {
    const texts = [`#${question.id}`, question.question, question.db, question.gold, ...question.sql, ...question.messages];
    question.text = texts.join("\n").toLowerCase();
    question.outcomes = new Map(question.tags);
    question.responses = null;
  }

  // Whether a setting, by its number, is among those that the filters ask for.
  function shower(now) {
    return (at) => {
      const { discriminator } = index.settings[at];
      return (!now.discriminator || (now.discriminator === GREEDY ? "" : now.discriminator) === discriminator) && (!now.setting || String(at) === now.setting);
    };
  }

  function matches(question, now, shows, words) {
    if (now.hardness && question.hardness !== now.hardness) return false;
    if (now.db && question.db !== now.db) return false;
    const held = (word) => question.text.includes(word) || (now.r && question.responses?.includes(word));
    if (!words.every(held)) return false;
    if (!now.discriminator && !now.setting && !now.outcome) return true;
    const bit = now.outcome ? 1 << index.tags.indexOf(now.outcome) : ~0;
    return question.tags.some(([at, tags]) => shows(at) && (!now.outcome || tags & bit));
  }

  function tally(question, shows) {
    const some = question.tags.filter(([at]) => shows(at));
    const named = (tags) => spoken(index.tags.filter((_, bit) => tags & (1 << bit))).map(shortTag).join(", ") || "undecided";
    if (some.length === 1) return named(some[0][1]);
    return `right in ${some.filter(([, tags]) => tags & 1).length} of ${some.length}`;
  }

  // --- list and filters ----------------------------------------------------------------------------------------------

  function item(question) {
    const link = el("a", { href: "#", tabindex: -1 }, el("span", { class: "text" }, question.question),
      el("span", { class: "soft" }, `#${question.id} · ${question.db} · ${question.hardness} · `, el("span", { class: "tally" })));
    const made = el("li", {}, link);
    items.set(question.key, made);
    return made;
  }

  function options(select, pairs) {
    select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
  }

  function fillFilters() {
    const found = (name) => [...new Set(index.questions.map((question) => question[name]))];
    const names = [...new Set(index.settings.map((setting) => setting.discriminator))];
    options(place("hardness"), [["", "all"], ...index.levels.filter((level) => found("hardness").includes(level)).map((level) => [level, level])]);
    options(place("db"), [["", "all"], ...found("db").sort().map((name) => [name, name])]);
    options(place("discriminator"), [["", "all"], ...names.map((name) => [name || GREEDY, discriminatorName(index, name)])]);
    options(place("outcome"), [["", "all"], ...index.tags.map((tag) => [tag, TAGS[tag]])]);
  }

  function fillSettings(now) {
    const offered = index.settings.map((setting, at) => [at, setting]).filter(([at]) => shower({ discriminator: now.discriminator })(at));
    const name = (setting) => (now.discriminator || !setting.discriminator ? "" : `${discriminatorName(index, setting.discriminator)}: `) + settingName(index, setting);
    options(place("setting"), [["", "all"], ...offered.map(([at, setting]) => [String(at), name(setting)])]);
  }

  function showFilters(now) {
    fillSettings(now);
    for (const name of FILTERS) {
      const input = place(name);
      if (input.type === "checkbox") input.checked = Boolean(now[name]);
      else if (input !== document.activeElement || input.tagName === "SELECT") input.value = now[name] ?? "";
    }
  }

  function showList(now) {
    const shows = shower(now);
    const words = (now.s ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    matching = index.questions.filter((question) => matches(question, now, shows, words)).map((question) => question.key);
    const kept = new Set(matching);
    const reachable = kept.has(now.q) ? now.q : matching[0];
    for (const question of index.questions) {
      const made = items.get(question.key);
      made.hidden = !kept.has(question.key);
      if (made.hidden) continue;
      const link = made.firstChild;
      link.setAttribute("href", address({ q: question.key }));
      link.tabIndex = question.key === reachable ? 0 : -1;
      if (question.key === now.q) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      made.querySelector(".tally").textContent = tally(question, shows);
    }
    place("count").textContent = `${matching.length} of ${plural(index.questions.length, "question")}`;
  }

  // --- the question --------------------------------------------------------------------------------------------------

  async function showQuestion(now) {
    const main = place("question");
    if (!items.has(now.q)) {
      main.replaceChildren(el("p", { class: "soft" }, now.q ? "There is no such question here. Choose one from the list." : "Choose a question from the list."));
      showing = "";
      return;
    }
    const wanted = `${now.q} ${now.discriminator ?? ""} ${now.setting ?? ""}`;
    if (wanted !== showing) {
      const moved = showing.split(" ")[0] !== now.q;
      showing = wanted;
      let parts;
      try {
        parts = explorer.shownQuestion(index, await explorer.load("question", now.q), shower(now), address({}));
      } catch (error) {
        parts = [el("p", { class: "failed" }, error.message)];
      }
      if (showing !== wanted) return;
      main.replaceChildren(...parts);
      if (moved) main.scrollTop = 0;
      document.title = `${main.querySelector("h2")?.textContent ?? "Explorer"} · Explorer`;
    }
    place("link")?.setAttribute("href", address({}));
  }

  async function readResponses() {
    const left = index.questions.filter((question) => question.responses === null);
    const texts = (response) => [...response.thought, ...response.answer].map((piece) => piece.text ?? "").join("");
    let done = 0;
    const work = async () => {
      for (let question = left.pop(); question; question = left.pop()) {
        const all = await explorer.load("responses", question.key).catch(() => []);
        question.responses = all.map(texts).join("\n").toLowerCase();
        done += 1;
        if (done % 20 === 0) place("count").textContent = `${plural(done, "question")} read …`;
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
  }

  async function show() {
    const now = state();
    showFilters(now);
    showList(now);
    const shown = showQuestion(now);
    if (now.r && now.s && index.questions.some((question) => question.responses === null)) {
      await readResponses();
      showList(state());
    }
    await shown;
  }

  // --- keys and clicks -----------------------------------------------------------------------------------------------

  function step(by) {
    if (!matching.length) return;
    const at = matching.indexOf(state().q);
    const next = at < 0 ? 0 : Math.min(matching.length - 1, Math.max(0, at + by));
    open(matching[next]);
    const made = items.get(matching[next]);
    made.scrollIntoView({ block: "nearest" });
    if (place("list").contains(document.activeElement)) made.firstChild.focus();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input[type=search], select");
    const inList = place("list").contains(event.target);
    const search = place("s");
    if (typing === search && (event.key === "Enter" || event.key === "ArrowDown") && matching.length) {
      search.value === (state().s ?? "") || change({ s: search.value });
      open(matching.includes(state().q) ? state().q : matching[0]);
      items.get(matching.includes(state().q) ? state().q : matching[0]).firstChild.focus();
    } else if (typing) return;
    else if (event.key === "/") search.focus();
    else if (event.key === "j" || (inList && event.key === "ArrowDown")) step(1);
    else if (event.key === "k" || (inList && event.key === "ArrowUp")) step(-1);
    else return;
    event.preventDefault();
  }

  function listen() {
    let timer;
    const form = place("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => change(Object.fromEntries(FILTERS.map((name) => [name, ""]))));
    form.addEventListener("change", ({ target }) => {
      if (target.id === "r") change({ r: target.checked ? "1" : "" });
      else change({ [target.id]: target.value, ...(target.id === "discriminator" ? { setting: "" } : {}) });
    });
    place("s").addEventListener("input", ({ target }) => {
      clearTimeout(timer);
      timer = setTimeout(() => change({ s: target.value }), 100);
    });
    place("skip").addEventListener("click", (event) => { event.preventDefault(); place("question").focus(); });
    place("list").addEventListener("click", () => matchMedia("(max-width: 55rem)").matches && place("question").scrollIntoView());
    document.addEventListener("keydown", onKey);
    window.addEventListener("hashchange", show);
  }

  explorer.whenReady((given) => {
    index = given;
    index.questions.forEach(prepare);
    const judges = new Set(index.settings.map((setting) => setting.discriminator).filter(Boolean));
    place("about").textContent = `${index.about ?? ""} ${plural(index.questions.length, "question")}, ${plural(judges.size, "discriminator")}, ${plural(index.settings.length, "setting")}. Text search covers questions, SQL, databases and messages.`;
    place("list").firstElementChild.replaceChildren(...index.questions.map(item));
    fillFilters();
    listen();
    if (!state().q && index.questions.length) location.replace(address({ q: index.questions[0].key }));
    else show();
  });
})();
