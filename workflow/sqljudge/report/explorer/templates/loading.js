// Loads data: each data file is a script that calls explorer.register. A page opened from disk may not fetch.
"use strict";

window.explorer = (() => {
  const loaded = new Map();
  const waiting = new Map();
  const ready = [];
  const plain = (address) => {
    if (!/^data\/(questions|responses)\/[A-Za-z0-9_-]+\.js$/.test(address)) throw new Error(`no such data: ${address}`);
    return address;
  };
  const policy = window.trustedTypes?.createPolicy("explorer", { createScriptURL: plain });
  const scriptUrl = (address) => (policy ? policy.createScriptURL(address) : plain(address));

  function register(kind, key, value) {
    loaded.set(`${kind} ${key}`, value);
    if (kind === "index") ready.forEach((start) => start(value));
  }

  // A promise of one question's data: kind is "question" or "responses". It is refused where the file is not there.
  function load(kind, key) {
    const name = `${kind} ${key}`;
    if (loaded.has(name)) return Promise.resolve(loaded.get(name));
    if (!waiting.has(name)) waiting.set(name, inserted(kind, key, name).finally(() => waiting.delete(name)));
    return waiting.get(name);
  }

  function inserted(kind, key, name) {
    return new Promise((resolve, reject) => {
      const address = `data/${kind === "question" ? "questions" : "responses"}/${key}.js`;
      const script = document.createElement("script");
      const done = (there) => {
        script.remove();
        if (there && loaded.has(name)) resolve(loaded.get(name));
        else reject(new Error(`${address} cannot be read: make the explorer again`));
      };
      script.onload = () => done(true);
      script.onerror = () => done(false);
      script.src = scriptUrl(address);
      document.head.append(script);
    });
  }

  return { register, load, whenReady: (start) => ready.push(start) };
})();
