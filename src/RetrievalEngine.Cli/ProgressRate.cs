using System;
using System.Globalization;

namespace RetrievalEngine.Cli;

/// <summary>Rate and time left of one stage, from its first update on: what a resumed run had finished before does not count.</summary>
internal sealed class ProgressRate(string stage, long firstDone, TimeSpan started)
{
    /// <summary>The stage that is measured.</summary>
    public string Stage => stage;

    /// <summary>One line for people: <c>1,200 of 5,183 texts, 85.2 texts/s, 12,345 tokens/s, 0:48 left</c>.</summary>
    public string Describe(ProgressUpdate update, TimeSpan now)
    {
        double seconds = (now - started).TotalSeconds;
        double rate = seconds > 0 ? (update.Done - firstDone) / seconds : 0;
        string text = update.Total > 0
            ? string.Create(CultureInfo.InvariantCulture, $"{update.Done:N0} of {update.Total:N0} {update.Unit}")
            : string.Create(CultureInfo.InvariantCulture, $"{update.Done:N0} {update.Unit}");
        if (rate > 0) text += string.Create(CultureInfo.InvariantCulture, $", {Rounded(rate)} {update.Unit}/s");
        if (update.Detail is not null) text += $", {update.Detail}";
        if (update.Total <= update.Done) return seconds >= 1 ? $"{text}, {Clock(now - started)}" : text;
        return rate > 0 ? $"{text}, {Clock(TimeSpan.FromSeconds((update.Total - update.Done) / rate))} left" : text;
    }

    private static string Rounded(double rate) => rate.ToString(rate < 100 ? "0.0" : "N0", CultureInfo.InvariantCulture);

    private static string Clock(TimeSpan time) => time.TotalHours >= 1
        ? string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours}:{time.Minutes:D2}:{time.Seconds:D2}")
        : string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}:{time.Seconds:D2}");
}
