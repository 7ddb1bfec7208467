"""From values to bytes and back: coders of state, serializers of keys."""
