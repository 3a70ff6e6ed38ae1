# %% [markdown]
# # Three kinds of wine
#
# From which of three growers is the wine? Thirteen chemical measurements decide.

# %% tags=["parameters"]
trees = 10
seed = 0

# %%
from pathlib import Path

import joblib
from matplotlib import pyplot as plt
from mlci_log import log_metric
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score
from wine import build, split

# %%
train_x, test_x, train_y, test_y = split()
model = build(trees, seed).fit(train_x, train_y)
predicted = model.predict(test_x)
joblib.dump(model, "model.joblib")

# %%
log_metric("accuracy", accuracy_score(test_y, predicted), n=len(test_y))
log_metric("f1", f1_score(test_y, predicted, average="macro"), n=len(test_y))

# %%
ConfusionMatrixDisplay.from_predictions(test_y, predicted, colorbar=False)
Path("figures").mkdir(exist_ok=True)
plt.savefig("figures/confusion.png", dpi=80)
