using System;
using System.IO;
using NUnit.Framework;
using Spectre.Console;

namespace RetrievalEngine.Cli.Tests;

internal sealed class ProgressTests
{
    [TestCase(1000, 0, 4000, 10, null, "1,000 of 4,000 texts, 100 texts/s, 0:30 left")]
    [TestCase(1000, 500, 4000, 10, "7 tokens/s", "1,000 of 4,000 texts, 50.0 texts/s, 7 tokens/s, 1:00 left")]
    [TestCase(1, 0, 10_000, 1, null, "1 of 10,000 texts, 1.0 texts/s, 2:46:39 left")]
    [TestCase(40, 0, 40, 90, null, "40 of 40 texts, 0.4 texts/s, 1:30")]
    [TestCase(40, 0, 0, 10, null, "40 texts, 4.0 texts/s, 0:10")]
    [TestCase(0, 0, 40, 0, null, "0 of 40 texts")]
    public void Describe_RateAndTimeLeft(long done, long firstDone, long total, int seconds, string? detail, string expected)
    {
        ProgressRate rate = new("encode", firstDone, TimeSpan.FromSeconds(5));
        Assert.That(rate.Describe(new ProgressUpdate("encode", done, total, "texts", detail), TimeSpan.FromSeconds(5 + seconds)),
            Is.EqualTo(expected));
    }

    [Test]
    public void Log_WritesALineEveryTenSeconds_AndOneAtTheEndOfALongStage()
    {
        using StringWriter writer = new();
        Clock clock = new();
        ProgressDisplay.Log log = new(writer, clock);
        Report(0, "check", 1, 2);
        Report(0.5, "check", 2, 2);
        for (int i = 0; i <= 25; i++) Report(1, "encode", i, 25);
        Report(1, "encode", 25, 25);
        string[] lines = writer.ToString().TrimEnd().Split(Environment.NewLine);
        Assert.That(lines, Is.EqualTo(new[]
        {
            "encode: 10 of 25 texts, 1.0 texts/s, 0:15 left", "encode: 20 of 25 texts, 1.0 texts/s, 0:05 left",
                "encode: 25 of 25 texts, 1.0 texts/s, 0:25",
        }));

        void Report(double seconds, string stage, long done, long total)
        {
            clock.Now += TimeSpan.FromSeconds(seconds);
            log.Report(new ProgressUpdate(stage, done, total, "texts"));
        }
    }

    [Test]
    public void Draw_ShowsEachStage()
    {
        using StringWriter writer = new();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(writer),
        });
        int result = ProgressDisplay.Draw(console, progress =>
        {
            progress.Report(new ProgressUpdate("read [input]", 7, 0, "texts"));
            progress.Report(new ProgressUpdate("encode", 1, 2, "texts", "5 tokens/s"));
            progress.Report(new ProgressUpdate("encode", 2, 2, "texts", "5 tokens/s"));
            return 3;
        });
        Assert.That(result, Is.EqualTo(3));
        Assert.That(writer.ToString(), Does.Contain("read [input]: 7 texts").And.Contain("encode: 2 of 2 texts").And.Contain("100%"));
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
