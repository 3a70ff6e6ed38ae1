"""The model: shared by the notebook, and by whatever serves it."""

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


def split(test_size=0.4):
    """Training and test data; the split never depends on the seed, so that runs are compared on the same examples."""
    data = load_wine(as_frame=True)
    return train_test_split(data.data, data.target, test_size=test_size, random_state=0, stratify=data.target)


def build(trees, seed):
    """The classifier, not yet fitted."""
    return RandomForestClassifier(trees, max_depth=4, random_state=seed)
