package sqlite

const subscriberListing = 's'
