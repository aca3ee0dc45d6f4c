"""`crossfade sandbox demo`: a good release and a bad one, under load, watched from outside.

The demo knows the product only as a user does: it runs the `crossfade` command,
applies manifests with kubectl, and reads the Canary through the Kubernetes API.
"""
