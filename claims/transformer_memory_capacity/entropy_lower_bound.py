r"""The summed cross-entropy of any model is the entropy of its documents plus a divergence, and never below the entropy.

With $N_{c\gamma}$ how often token $\gamma$ follows the full prefix c, pooled over documents, $N_c = \sum_\gamma N_{c\gamma}$
and $\hat\pi_c = N_{c\cdot} / N_c$, every model p has

$$\sum_{\text{documents}} \sum_t -\log p(z_t \mid z_{<t}) = H + \sum_c N_c\, \mathrm{KL}(\hat\pi_c \,\|\, p_c), \qquad
H = -\sum_{c,\gamma} N_{c\gamma} \log \frac{N_{c\gamma}}{N_c} .$$

H is the infimum: with $p_c = \hat\pi_c$ where every token follows c, and elsewhere
$p_c = (1-\varepsilon)\,\hat\pi_c + \varepsilon$ spread over the tokens that do not, it is exceeded by exactly
$-\log(1-\varepsilon)$ for each token that follows one of the latter contexts. Documents D and D' together have $H(D \cup D') \ge H(D) + H(D')$.

---
Natural logarithms, sums and not means, as in the paper's experiment. Its numbers for TinyStories, cut to 10 tokens,
stand beside those of a Markov source in the figure.
"""

from fractions import Fraction

import numpy as np

from verify import Claim, Record, at_most, certify, concatenate, equal, exact, plot, rounded, rounding, stack

from . import world

claim = Claim("transformer-memory-capacity/entropy-lower-bound", full={"count": 1_000, "length": 10})
EPSILON = tuple(Fraction(1, 10**j) for j in range(1, 9))
SIZES = (100, 300, 600, 1000)


@claim.instance
def documents(rng, count=60, tokens=6, length=6):
    """A context that every token follows, then a Markov source's documents of 3 to `length` tokens."""
    named = [[0, token] for token in range(tokens)]
    return named + world.markov_documents(rng, count, tokens, length, shortest=3)


@claim.instance
def logits(rng, documents, tokens, models=12):
    """Tables of logits (models, n, omega), a row for each context in the order of its first appearance."""
    n = len(world.context_counts(documents))
    return np.geomspace(0.1, 10, models)[:, None, None] * rng.normal(size=(models, n, tokens))


@claim.instance
def corpus(rng):
    """Documents of a Markov source of 50 tokens, 10 tokens each."""
    return world.markov_documents(rng, max(SIZES), tokens=50, length=10, concentration=0.05)


@claim.reference
def entropy(documents):
    return world.entropy(world.context_counts(documents))


@claim.reference
def divergence(documents, logits, tokens):
    """sum_c N_c KL(pi_c || p_c) of every model, from the pooled counts."""
    N = world.count_table(world.context_counts(documents), tokens)
    rows, seen = np.nonzero(N)
    count, total = exact(N[rows, seen]), exact(N.sum(axis=1)[rows])
    log_pi = certify.log(count) - certify.log(total)
    log_p = [table[rows, seen] - log_sum(table)[rows] for table in logits]
    return stack([(count * (log_pi - each)).sum() for each in log_p])


def log_sum(table):
    """log sum_g exp(l_cg) of logits (n, omega), enclosed."""
    powers = certify.exp(table)
    return certify.log(sum((powers[:, g] for g in range(1, table.shape[1])), powers[:, 0]))


@claim.reference
def excess(documents, tokens):
    """-log(1 - eps) times how many tokens follow contexts that not every token follows."""
    counts = world.context_counts(documents).values()
    partly = sum(following.total() for following in counts if len(following) < tokens)
    return exact(partly) * certify.log(exact(np.array([1 / (1 - eps) for eps in EPSILON], dtype=object)))


@claim.run
def losses(documents, logits):
    """Token by token, for every table of logits."""
    from scipy.special import log_softmax

    return stack([token_by_token(documents, log_softmax(table, axis=1)) for table in logits])


@claim.run
def mixtures(documents, tokens):
    """Losses of the models that keep eps for the tokens that do not follow, where there are any."""
    N = world.count_table(world.context_counts(documents), tokens)
    return stack([token_by_token(documents, np.log(mixture(N, float(eps)))) for eps in EPSILON])


def mixture(N, eps):
    """The statement's p_c for counts (n, omega): eps spread over the tokens that do not follow c."""
    missing = (N == 0) / np.maximum((N == 0).sum(axis=1, keepdims=True), 1)
    partly = missing.any(axis=1, keepdims=True)
    return (1 - eps * partly) * N / N.sum(axis=1, keepdims=True) + eps * missing


def token_by_token(documents, log_p):
    """-sum log p over the predicted tokens; a log-softmax of moderate logits is right to some 16 roundings."""
    found = log_p[world.predictions(documents)]
    return rounded(-found.sum(), len(found) + 16, np.abs(found).sum() + len(found))


@claim.run
def training(documents, tokens, steps=400):
    """Losses along L-BFGS on a full table of logits, which can represent every model."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    N = world.count_table(world.context_counts(documents), tokens)
    tables = [np.zeros(N.size)]

    def objective(flat):
        log_p = log_softmax(flat.reshape(N.shape), axis=1)
        return -np.sum(N * log_p), (N.sum(axis=1, keepdims=True) * np.exp(log_p) - N).ravel()

    minimize(objective, tables[0], jac=True, method="L-BFGS-B", callback=lambda x: tables.append(x.copy()),
             options={"maxiter": steps, "ftol": 0, "gtol": 1e-9})  # fmt: skip
    return stack([token_by_token(documents, log_softmax(t.reshape(N.shape), axis=1)) for t in tables])


@claim.measurement
def growth(corpus, averaged=False):
    """Entropies of the first documents of a corpus: of all of them, and of two halves apart."""
    pooled, halves, contexts = [], [], []
    for count in SIZES:
        middle, predicted = count // 2, 9 * count if averaged else 1
        H = [world.conditional_entropy(corpus[i:j]) for i, j in ((0, count), (0, middle), (middle, count))]
        whole, first, second = (rounded(h, 4, h) for h in H)  # sums of positive terms, added without rounding
        pooled.append(whole / predicted)
        halves.append((first + second) / (predicted / 2 if averaged else 1))
        contexts.append(len(world.context_counts(corpus[:count])))
    return Record(pooled=stack(pooled), halves=stack(halves), contexts=np.array(contexts))


@claim.check("decomposition")
def decomposition(losses, entropy, divergence, documents, logits):
    accuracy = rounding(4 * len(documents) * max(map(len, documents)), 2 * losses.upper)
    return equal(losses, entropy + divergence, within=accuracy, model=np.arange(len(logits)))


@claim.check("never-below-the-entropy")
def never_below(losses, mixtures, training, entropy):
    every = concatenate([losses, mixtures, training])
    return at_most(entropy, every, within=every.gap())


@claim.check("the-infimum")
def infimum(mixtures, entropy, excess, documents):
    accuracy = rounding(4 * len(documents) * max(map(len, documents)), mixtures.upper)
    return equal(mixtures - entropy, excess, within=accuracy, epsilon=list(map(float, EPSILON)))


@claim.check("pooling")
def pooling(growth):
    return at_most(growth.halves, growth.pooled, documents=SIZES)


def with_ends(documents):
    """N_c counts the documents that end after c as well."""
    counts = world.context_counts(documents)
    for document in map(tuple, documents):
        if document in counts:
            counts[document]["end"] += 1
    return world.entropy(counts)


claim.control("documents' ends counted as tokens", entropy=with_ends, must_fail="decomposition")
claim.control(
    "bits in place of nats", must_fail="decomposition",
    losses=lambda losses: losses / certify.log(exact(2)),
)  # fmt: skip
claim.control(
    "entropy 1% larger", entropy=lambda entropy: 1.01 * entropy, must_fail="never-below-the-entropy"
)
COARSER = {
    "multiset": lambda c: tuple(sorted(c)),
    "last token, length": lambda c: (c[-1], len(c)),
    "last token": lambda c: c[-1],
}


def coarse(key):
    return lambda documents: world.entropy(world.context_counts(documents, key))


for name, key in COARSER.items():
    claim.control(
        f"contexts told apart by their {name} only", entropy=coarse(key), must_fail="never-below-the-entropy"
    )
claim.control("entropy per token", averaged=True, must_fail="pooling")
claim.control("excess 10% smaller", excess=lambda excess: 0.9 * excess, must_fail="the-infimum")


def of_every_context(documents):
    """As if the entropy were attained by no context."""
    predicted = sum(len(document) - 1 for document in documents)
    return exact(predicted) * certify.log(exact(np.array([1 / (1 - eps) for eps in EPSILON], dtype=object)))


claim.control("mass kept back after every context", excess=of_every_context, must_fail="the-infimum")


@claim.figure
def draw(figure, evidence):
    printed = {  # documents: (entropy, contexts), constants of the paper's code
        100: (256.01, 377), 200: (612.28, 699), 300: (1019.33, 952), 400: (1462.64, 1123), 500: (1907.59, 1459),
        600: (2377.18, 1637), 700: (2802.58, 1896), 800: (3289.21, 2117), 900: (3731.56, 2374),
        1000: (4236.58, 2637),
    }  # fmt: skip
    left, right = plot.panel_grid(figure, ["training a table", "more documents"])
    losses = evidence.of("training").middle
    left.plot(np.arange(1, len(losses) + 1), losses, label="table of logits")
    left.axhline(evidence.of("entropy").middle, color=plot.COLORS[0], **plot.BOUND)
    looks = (0, (1, 1.1)), (0, (4, 1, 1, 1)), (0, (1, 3))
    for name, look in zip(COARSER, looks, strict=True):
        coarser = evidence.of("entropy", control=f"contexts told apart by their {name} only").middle
        left.axhline(coarser, label=f"control: {name}", **{**plot.CONTROL, "linestyle": look})
    left.set(xscale="log", xlabel="step", ylabel="nats, summed", ylim=(0, 1.05 * losses.max()))
    growth = evidence.of("growth")
    right.plot(growth.contexts, growth.pooled.middle, "o-", label="Markov source")
    entropies, contexts = np.array(list(printed.values())).T
    right.plot(contexts, entropies, "s:", label="TinyStories (paper)", color=plot.COLORS[1])
    right.set(xlabel="distinct contexts", ylabel="entropy, nats")
    plot.legend([left, right], bound="entropy of full prefixes")
