"""One file per kind of channel; each fulfils `watchpost.alerting.notifier.Notifier`."""
