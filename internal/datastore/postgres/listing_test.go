package postgres

const subscriberListing = 's'
