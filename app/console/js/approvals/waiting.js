// How many calls wait for the user, and a word when that may have changed. The navigation shows the number; the inbox
// lists anew.
