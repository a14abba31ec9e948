package broadcast

// MaxSelect is how many full subscriptions a publisher parks on at once.
const MaxSelect = maxSelect
