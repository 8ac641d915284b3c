// Shows one question: gold, candidates, what planners chose, and each discriminator's scores and responses.
"use strict";

(() => {
  const { el, badge, mark, rightness, plural, number, shortTag, spoken, grid } = explorer;
  const { poolName, discriminatorName, plannerName, budgetName, valueName, scoringName, howNames } = explorer;
  let index;

  const cell = (value) => (value === null ? el("td", { class: "null" }, "NULL") : el("td", { class: typeof value === "number" ? "num" : "" }, String(value)));

  function rowsOf(what, result, columns = []) {
    if (!result.rows.length) return el("p", { class: "soft" }, "No rows.");
    const shown = result.rows.length < result.row_count ? `first ${result.rows.length} of ${plural(result.row_count, "row")}` : plural(result.row_count, "row");
    return el("div", { class: "rows" }, el("p", { class: "soft" }, shown),
      grid(`${what}: ${shown}`, columns, result.rows.map((row) => row.map(cell)), { class: "small" }));
  }

  function section(title, ...children) {
    return el("section", { "aria-label": title }, el("h3", {}, title), ...children);
  }

  function ran(result) {
    if (result.outcome === "ok") return null;
    const message = result.message ? `${result.outcome}: ${result.message}` : result.outcome;
    return el("p", { class: "failed" }, message);
  }

  function gold(data) {
    const schema = el("details", {}, el("summary", {}, `Schema of ${data.db}`), el("pre", {}, data.schema));
    return section("Gold query", el("pre", { class: "sql" }, data.gold.sql), ran(data.gold),
      data.gold.outcome === "ok" ? rowsOf("Gold rows", data.gold, data.gold.columns) : null, schema);
  }

  function sampled([pool, count, label]) {
    const times = count === 1 ? "once" : `${count} times`;
    return `${poolName(index, pool)}: ${times}${label === null ? "" : `, label ${label}`}`;
  }

  function candidate(data, number_) {
    const disagrees = data.right !== data.executed_right && data.executed_right !== null
      ? el("p", { class: "soft" }, `Its label says ${rightness(data.right)}, its execution ${rightness(data.executed_right)}.`) : null;
    return el("li", { class: `candidate ${rightness(data.right)}` },
      el("h4", {}, `Candidate ${number_ + 1} `, badge(data.right), el("span", { class: "soft" }, ` ${data.outcome}, ${data.ms.toFixed(1)} ms`)),
      el("pre", { class: "sql" }, data.sql), ran(data), disagrees,
      data.outcome === "ok" ? rowsOf(`Rows of candidate ${number_ + 1}`, data) : null,
      el("p", { class: "soft" }, data.pools.map(sampled).join(" · ")));
  }

  function tags(some) {
    return spoken(some).map((tag) => el("span", { class: `tag ${tag}` }, shortTag(tag)));
  }

  // A planner that asks models may choose a query that is none of the candidates.
  function chosen(choice) {
    if (choice.candidate !== null) return `candidate ${choice.candidate + 1}`;
    return choice.sql ? el("code", {}, choice.sql) : "none";
  }

  function choices(data, shows) {
    const rows = data.choices.filter(([at]) => index.settings[at].planned && shows(at)).map(([at, choice]) => {
      const setting = index.settings[at];
      const how = setting.discriminator ? howNames(index, setting).join(", ") : "–";
      return [el("th", { scope: "row" }, plannerName(index, setting)), poolName(index, setting.pool), how, chosen(choice), choice.reason,
        badge(choice.right), choice.exact === null ? "–" : choice.exact ? "✓ yes" : "✗ no", tags(choice.tags.filter((tag) => tag !== rightness(choice.right)))];
    });
    if (!rows.length) return null;
    const headers = ["Planner", "Candidates of", "Setting", "Chose", "Why", "Execution", "Exact match", "Outcome"];
    return section("What each planner chose", grid("What each planner chose", headers, rows, { class: "choices" }));
  }

  const STATES = { none: "no verdict", unasked: "not asked", unanswered: "no answer" };

  function scoreCell(found, choice) {
    if (!found) return el("td", { class: "soft" }, "–");
    const [at, score, said] = found;
    const best = choice && choice.candidate === at;
    return el("td", { class: `score ${said}${best ? " best" : ""}`, title: said in STATES ? null : String(score) }, STATES[said] ?? number(score),
      best ? el("span", { class: "star" }, " ★", el("span", { class: "unseen" }, " chosen")) : null);
  }

  // Scores of one job of judgments: a row for each candidate, a column for each budget, scoring and mode.
  function scores(data, settings) {
    const columns = settings.map((at) => ({
      setting: index.settings[at],
      cells: new Map((data.scores.find(([other]) => other === at)?.[1] ?? []).map((found) => [found[0], found])),
      choice: data.choices.find(([other]) => other === at)?.[1],
    }));
    const scored = data.candidates.map((each, at) => [each, at]).filter(([, at]) => columns.some((column) => column.cells.has(at)));
    const rows = scored.map(([each, at]) => [el("th", { scope: "row" }, `Candidate ${at + 1} ${mark(each.right)}`, el("span", { class: "unseen" }, ` ${rightness(each.right)}`)),
      ...columns.map((column) => scoreCell(column.cells.get(at), column.choice))]);
    rows.push([el("th", { scope: "row" }, "Outcome"), ...columns.map((column) => el("td", {}, column.choice ? tags(column.choice.tags) : "–"))]);
    const headers = ["", ...columns.map(({ setting }) => [el("span", {}, budgetName(setting)), el("small", {}, scoringName(index, setting))])];
    return grid("Scores", headers, rows, { class: "scores" });
  }

  function responses(data, setting) {
    const place = el("div", { class: "judgments" }, el("p", { class: "soft" }, "Loading the responses …"));
    const belongs = (each) => ["discriminator", "context", "pool"].every((name) => each[name] === setting[name]);
    explorer.load("responses", data.key).then(
      (all) => place.replaceChildren(...all.filter(belongs).map((each) => explorer.shownResponse(each, data.candidates[each.candidate]))),
      (error) => place.replaceChildren(el("p", { class: "failed" }, error.message)),
    );
    return place;
  }

  // The prompt that a candidate is judged with: the template, filled as the program fills it.
  function prompt(data, setting) {
    const template = (index.prompts ?? []).find((each) => each.discriminator === setting.discriminator && each.context === setting.context);
    if (!template || !data.candidates.length) return null;
    const texts = (sql) => ({ question: data.question, schema: data.schema, db_id: data.db, knowledge: data.knowledge, sql });
    const fill = (part, sql) => part.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (whole, dollar, braced, bare) => (dollar ? "$" : texts(sql)[braced ?? bare] ?? whole));
    const frame = { raw: "as it is", inst: "between [INST] and [/INST]", chat: "as a user's turn in the model's chat template" }[template.format];
    const fold = el("details", { class: "prompt" }, el("summary", {}, "Prompts that were sent"));
    fold.addEventListener("toggle", () => {
      if (fold.childElementCount > 1) return;
      const left = /\$\{(result|demonstrations)\}/.test(template.user + template.opening) ? " What stands for ${…} was put in for each candidate, and is not repeated here." : "";
      fold.append(el("p", { class: "soft" }, `Sent ${frame}; the part below the line opens the answer.${left}`),
        ...data.candidates.flatMap((each, at) => [el("h4", {}, `Candidate ${at + 1}`),
          el("pre", {}, `${fill(template.user, each.sql)}\n────\n${fill(template.opening, each.sql)}`)]));
    });
    return fold;
  }

  function job(data, settings) {
    const setting = index.settings[settings[0]];
    const title = [poolName(index, setting.pool), valueName(index, setting, "context")].filter(Boolean).join(", ");
    return el("div", { class: "job" }, el("h4", {}, title), scores(data, settings), prompt(data, setting), setting.reasons ? responses(data, setting) : null);
  }

  function grouped(settings, key) {
    const groups = new Map();
    for (const at of settings) {
      const name = key(index.settings[at]);
      groups.set(name, [...(groups.get(name) ?? []), at]);
    }
    return groups;
  }

  // A discriminator's scores and responses; made when it is opened.
  function discriminator(data, name, settings, open) {
    const jobs = [...grouped(settings, (setting) => `${setting.context} ${setting.pool}`).values()];
    const outcomes = settings.map((at) => data.choices.find(([other]) => other === at)?.[1]).filter(Boolean);
    const right = outcomes.filter((choice) => choice.right).length;
    const fold = el("details", { class: "discriminator" },
      el("summary", {}, el("strong", {}, discriminatorName(index, name)), el("span", { class: "soft" }, ` right in ${right} of ${plural(outcomes.length, "setting")}`)));
    fold.addEventListener("toggle", () => {
      if (fold.childElementCount === 1) fold.append(...jobs.map((some) => job(data, some)));
    });
    fold.open = open;
    return fold;
  }

  function discriminators(data, shows) {
    const here = data.scores.map(([at]) => at).filter(shows);
    const first = here.filter((at) => index.settings[at].reasons);
    const groups = [...grouped([...first, ...here.filter((at) => !first.includes(at))], (setting) => setting.discriminator)];
    if (!groups.length) return null;
    const hint = el("p", { class: "soft" }, "★ marks the candidate with the highest score, which is chosen; of equal ones, the smallest SQL. Outcomes compare with the greedy query of the same generator, or else with the pool’s first candidate.");
    return section("Scores and responses", hint, groups.map(([name, settings], at) => discriminator(data, name, settings, at === 0)));
  }

  // The whole question. `shows`: whether a setting, by its number, is to be shown; `link`: its address.
  explorer.shownQuestion = (given, data, shows, link) => {
    index = given;
    const facts = [`#${data.id}`, data.db, data.hardness].map((fact) => el("li", {}, fact));
    return [el("h2", {}, data.question),
      el("ul", { class: "facts" }, facts, el("li", {}, el("a", { href: link, id: "link" }, "Link to this view"))),
      gold(data), section("Candidates", el("ol", { class: "candidates" }, data.candidates.map(candidate))),
      choices(data, shows), discriminators(data, shows)].filter(Boolean);
  };
})();
