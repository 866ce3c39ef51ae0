"""The operations of ``/sundog/v1``, by what they are about."""
