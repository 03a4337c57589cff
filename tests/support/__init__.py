"""What the tests of several rooms share: encoders, pictures, videos, data sets, weights; nothing here is a test."""
