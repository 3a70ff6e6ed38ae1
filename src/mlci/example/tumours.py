"""Trains a classifier of tumours: is this one malignant?"""

import argparse
import json
from pathlib import Path

import joblib
import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import PrecisionRecallDisplay, accuracy_score, precision_score, recall_score
from sklearn.model_selection import train_test_split

# A tumour counts as malignant from this probability on.
THRESHOLD = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--depth", type=int, default=6)
    arguments = parser.parse_args()

    data = load_breast_cancer()
    malignant = data.target == 0
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, malignant, test_size=0.4, random_state=0, stratify=malignant
    )
    model = RandomForestClassifier(50, max_depth=arguments.depth, random_state=arguments.seed).fit(train_x, train_y)

    probability = model.predict_proba(test_x)[:, 1]
    predicted = probability >= THRESHOLD
    metrics = {
        "accuracy": accuracy_score(test_y, predicted),
        "precision": precision_score(test_y, predicted),
        "recall": recall_score(test_y, predicted),
    }
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    joblib.dump(model, "tumours.joblib")

    PrecisionRecallDisplay.from_predictions(test_y, probability, name="malignant")
    Path("figures").mkdir(exist_ok=True)
    plt.savefig("figures/tumours.png", dpi=80)
    print(f"seed {arguments.seed}: {metrics}")


if __name__ == "__main__":
    main()
