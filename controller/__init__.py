"""The loop, the rollout machine, and the cluster's edge.

A tick (`reconcile`) observes through `ports`, lets `rollout` decide, records the
decision in the Canary's status and makes at most one move. `kube` and `gloo`
implement the ports, `schedule` says when to tick, `app` joins the parts, `cli`
is what people type.
"""
