"""What the end-to-end tests share: a stand-in for docker.io, an ordinary user, a runner of the installed programs."""
