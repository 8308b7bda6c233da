"""Weights of routes: Gateway API, Ingress, Istio, Traefik, Flagger, Argo Rollouts."""
