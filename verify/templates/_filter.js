(() => {
  const names = ["verdict", "grade", "paper"];
  const selects = names.map(name => document.getElementById("filter-" + name));
  const claims = [...document.querySelectorAll(".claim")];
  const papers = [...document.querySelectorAll(".paper")];
  const box = document.getElementById("filter"), form = box.querySelector("form");
  const wanted = () => Object.fromEntries(names.map((name, i) => [name, selects[i].value]));

  function show() {
    const want = wanted(), any = names.some(name => want[name]);
    let shown = 0;
    for (const claim of claims) {
      const is = claim.dataset;
      const verdict = !want.verdict || is.verdict === want.verdict || (want.verdict === "unexpected" && is.unexpected === "yes");
      claim.hidden = !(verdict && (!want.grade || is.grade === want.grade) && (!want.paper || is.paper === want.paper));
      shown += !claim.hidden;
    }
    let visible = 0;
    for (const paper of papers) {
      const empty = !paper.querySelector(".claim:not([hidden])");
      const bare = paper.dataset.claims === "0" && !want.verdict && !want.grade;
      paper.hidden = (want.paper && want.paper !== paper.id) || (empty && !bare);
      visible += !paper.hidden;
    }
    for (const name of ["coverage", "findings"]) { const part = document.getElementById(name); if (part) part.hidden = any; }
    document.getElementById("nothing").hidden = visible > 0;
    document.getElementById("count").value = `${shown} of ${claims.length} claims shown`;
  }
  function read() {
    const hash = location.hash.slice(1), target = hash && document.getElementById(hash);
    if (target && !target.closest("[hidden]")) return show();
    const given = new URLSearchParams(target ? "" : hash);
    selects.forEach((select, i) => {
      const value = given.get(names[i]) || "";
      select.value = [...select.options].some(option => option.value === value) ? value : "";
    });
    show();
    if (target) target.scrollIntoView();
  }
  function write() {
    const want = Object.entries(wanted()).filter(([, value]) => value);
    history.replaceState(null, "", want.length ? "#" + new URLSearchParams(want) : location.pathname + location.search);
    show();
  }
  form.addEventListener("change", write);
  form.addEventListener("reset", () => setTimeout(write));
  form.addEventListener("submit", event => event.preventDefault());
  addEventListener("hashchange", read);
  box.hidden = false;
  read();
})();
