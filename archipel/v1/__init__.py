"""Generated from protos/archipel/v1 by scripts/generate_protos.sh; never edited."""
