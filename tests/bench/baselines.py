"""What a competent user writes by hand: the other side of every ratio in the benchmark."""

import numpy as np

# --- max-margin programs: one vectorised cvxpy model, and the one with a constraint per row ----------------


def _norm(cp, W, norm):
    return {
        "max": lambda: cp.max(cp.abs(W)),
        "frobenius": lambda: cp.norm(W, "fro"),
        "spectral": lambda: cp.sigma_max(W),
    }[norm]()


def margin_vectorised(features, labels, norm):
    """max g with all n (k - 1) margin constraints in one expression; returns (g, W)."""
    import cvxpy as cp

    k = int(labels.max()) + 1
    W, g = cp.Variable((k, features.shape[1])), cp.Variable()
    rows, classes = np.nonzero(np.arange(k)[None, :] != labels[:, None])
    logits = features @ W.T
    constraints = [logits[rows, labels[rows]] - logits[rows, classes] >= g, _norm(cp, W, norm) <= 1]
    cp.Problem(cp.Maximize(g), constraints).solve(solver=cp.HIGHS if norm == "max" else cp.CLARABEL)
    return float(g.value), W.value


def margin_by_rows(features, labels, norm):
    """The same with a constraint object per row, as the textbook has it."""
    import cvxpy as cp

    k = int(labels.max()) + 1
    W, g = cp.Variable((k, features.shape[1])), cp.Variable()
    constraints = [_norm(cp, W, norm) <= 1]
    for h, y in zip(features, labels, strict=True):
        others = [c for c in range(k) if c != y]
        constraints += [(W[y] - W[c]) @ h >= g for c in others]
    cp.Problem(cp.Maximize(g), constraints).solve(solver=cp.HIGHS if norm == "max" else cp.CLARABEL)
    return float(g.value), W.value


# --- training loops in numpy and torch ----------------------------------------------------------------------


def losses_and_gradient(W, features, own):
    """(margin, shift, loss, gradient) with loss and gradient times exp(shift); 1 - p_y is a sum, never 1 - p."""
    logits = features @ W.T
    margins = logits[own][:, None] - logits
    margins[own] = np.inf
    least = margins.min()
    shift = max(least, 0.0)
    weights = np.exp(shift - margins)
    tails = weights.sum(axis=1)
    small = tails * np.exp(-shift)
    wrong = weights / (1 + small)[:, None]
    wrong[own] = -wrong.sum(axis=1)
    loss = (np.log1p(small) / small * tails).mean()
    return least, shift, loss, wrong.T @ features / len(features)


def direction(rule, gradient):
    """The steepest direction of a norm."""
    if rule == "max":
        return np.sign(gradient)
    if rule == "frobenius":
        return gradient / np.linalg.norm(gradient)
    left, values, right = np.linalg.svd(gradient, full_matrices=False)
    return (left * (values > 1e-10 * values[0])) @ right


def descend_numpy(features, labels, rates, rule, b1=0.9, b2=0.95):
    """SignGD ("max"), normalised GD ("frobenius"), spectral descent ("spectral") or "adam"; margins and log losses."""
    k = int(labels.max()) + 1
    W, own = np.zeros((k, features.shape[1])), np.arange(k)[None, :] == labels[:, None]
    margins, logs = np.empty(len(rates)), np.empty(len(rates))
    first, second, last = np.zeros_like(W), np.zeros_like(W), 0.0
    for t, rate in enumerate(rates):
        margins[t], shift, loss, gradient = losses_and_gradient(W, features, own)
        logs[t] = np.log(loss) - shift
        if rule == "adam":
            unit = np.exp(shift - last)
            first = b1 * unit * first + (1 - b1) * gradient
            second = b2 * unit**2 * second + (1 - b2) * gradient**2
            W = W - rate * first / np.sqrt(second)
            last = shift
        else:
            W = W - rate * direction(rule, gradient)
    return W, margins, logs


def descend_torch(features, labels, rates):
    """SignGD by autograd, as most people would write it."""
    import torch

    torch.set_num_threads(1)
    H, y = torch.tensor(features), torch.tensor(labels)
    W = torch.zeros(int(labels.max()) + 1, features.shape[1], dtype=torch.float64, requires_grad=True)
    for rate in rates:
        loss = torch.nn.functional.cross_entropy(H @ W.T, y)
        (gradient,) = torch.autograd.grad(loss, W)
        with torch.no_grad():
            W -= rate * gradient.sign()
    return W.detach().numpy()
