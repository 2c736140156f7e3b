"""What was asked of the service: records that end after 90 days, and the sums of them."""
