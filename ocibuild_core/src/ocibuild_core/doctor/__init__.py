"""`ocibuild doctor`: what of this machine a build would trip over, each thing tried where it can be tried."""
