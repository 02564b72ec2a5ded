"""The steps of `azd up` that no template can do; `azure.yaml` names the three scripts, `runs` says what each does.

Each one may be run again at any time: what is there already stays, and it says so. What fails says what to do.
"""
