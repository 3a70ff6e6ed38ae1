"""The repository that `mlci demo` makes: a notebook and a script that train on data which scikit-learn brings along."""
