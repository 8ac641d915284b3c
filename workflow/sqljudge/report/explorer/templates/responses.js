// Shows a discriminator's responses: the thought folded, cut-offs and verdicts marked.
"use strict";

(() => {
  const { el, badge, plural, number } = explorer;
  const probability = (verdict) => `p ${number(verdict.probability)}`;
  const word = (verdict) => `${verdict.value}, ${probability(verdict)}`;

  function shownPiece(piece, response) {
    if (piece.cut) {
      const text = `cut at ${piece.cut.join(", ")}`;
      return el("span", { class: "cut", role: "note", title: `Budget ${piece.cut.join(", ")}: the text that is read ends here` }, text);
    }
    if (piece.mark === undefined) return piece.text;
    const verdict = response.verdicts[piece.mark];
    const title = `Verdict token ${verdict.token}, ${JSON.stringify(verdict.token_text)}: probability ${verdict.probability.toFixed(4)}`;
    return el("mark", { class: `verdict ${verdict.value ? "yes" : "no"}`, title }, piece.text,
      el("span", { class: "p" }, ` ${probability(verdict)}`));
  }

  const shownText = (pieces, response) => el("div", { class: "response" }, pieces.map((piece) => shownPiece(piece, response)));

  function readings(response) {
    const shown = response.readings.map(([budget, at]) => {
      const verdict = at === null ? null : response.verdicts[at];
      const kind = verdict === null ? "none" : verdict.value ? "yes" : "no";
      return el("li", { class: kind }, `${budget}: ${verdict === null ? "no verdict" : `${word(verdict)}, token ${verdict.token}`}`);
    });
    return el("ul", { class: "readings", "aria-label": "Verdict at each budget" }, shown);
  }

  function summary(response, candidate) {
    const last = response.verdicts.at(-1);
    const ends = response.finish === "length" ? `cut at ${response.budget}` : "ended by itself";
    const said = last ? `said ${word(last)}` : "no verdict";
    return el("summary", {}, `Candidate ${response.candidate + 1} `, badge(candidate.right), ` ${said} · `,
      el("span", { class: "soft" }, `${plural(response.tokens, "token")}, ${ends}`));
  }

  function thought(response) {
    const size = response.thought.reduce((sum, piece) => sum + (piece.text?.length ?? 0), 0);
    const what = response.closed ? "Thought" : "Thought, never closed: all before the last part";
    const holds = response.thought.some((piece) => piece.mark !== undefined) ? ", with a verdict in it" : "";
    return el("details", { class: "thought" },
      el("summary", {}, `${what} (${plural(size, "character")}${holds})`), shownText(response.thought, response));
  }

  // One response, folded; its text is made when it is opened.
  explorer.shownResponse = (response, candidate) => {
    const fold = el("details", { class: "judgment" }, summary(response, candidate));
    fold.addEventListener("toggle", () => {
      if (fold.childElementCount > 1) return;
      fold.append(readings(response), ...(response.thought.length ? [thought(response)] : []), shownText(response.answer, response));
    });
    return fold;
  };
})();
