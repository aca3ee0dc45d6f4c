"""What runs workloads: Deployments, Jobs and Services become Pods that are local processes."""
