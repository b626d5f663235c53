using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using Spectre.Console;

namespace RetrievalEngine.Cli;

/// <summary>
/// Shows how far long work is, on standard error: a bar a stage on a terminal, a plain line now and then in a log, nothing with <c>--quiet</c>.
/// </summary>
internal static class ProgressDisplay
{
    /// <summary>Runs <paramref name="work"/> with something to report to.</summary>
    public static T Run<T>(bool quiet, Func<IProgress<ProgressUpdate>, T> work)
    {
        if (quiet) return work(new Silent());
        if (Console.IsErrorRedirected) return work(new Log(Console.Error, TimeProvider.System));
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return Draw(console, work);
    }

    /// <summary>Runs <paramref name="work"/> with a bar a stage on <paramref name="console"/>.</summary>
    internal static T Draw<T>(IAnsiConsole console, Func<IProgress<ProgressUpdate>, T> work) => console.Progress()
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 20 }, new PercentageColumn())
        .Start(context => work(new Bars(context)));

    private sealed class Silent : IProgress<ProgressUpdate>
    {
        public void Report(ProgressUpdate value)
        {
        }
    }

    /// <summary>A line every ten seconds, and one at the end of a stage that took its time.</summary>
    internal sealed class Log(TextWriter writer, TimeProvider time) : IProgress<ProgressUpdate>
    {
        private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10), s_short = TimeSpan.FromSeconds(2);
        private readonly long _begin = time.GetTimestamp();
        private readonly Lock _turn = new();
        private ProgressRate? _rate;
        private TimeSpan _started, _last;
        private bool _finished;

        public void Report(ProgressUpdate value)
        {
            lock (_turn)
            {
                TimeSpan now = time.GetElapsedTime(_begin);
                if (_rate?.Stage != value.Stage)
                {
                    _rate = new ProgressRate(value.Stage, value.Done, now);
                    _started = _last = now;
                    _finished = false;
                }

                bool ends = !_finished && value.Total > 0 && value.Done >= value.Total;
                _finished |= ends;
                if (ends ? now - _started < s_short : now - _last < s_interval) return;
                _last = now;
                writer.WriteLine($"{value.Stage}: {_rate.Describe(value, now)}");
            }
        }
    }

    private sealed class Bars(ProgressContext context) : IProgress<ProgressUpdate>
    {
        private readonly Stopwatch _clock = Stopwatch.StartNew();
        private readonly Lock _turn = new();
        private readonly Dictionary<string, (ProgressTask Task, ProgressRate Rate)> _stages = [];

        public void Report(ProgressUpdate value)
        {
            lock (_turn)
            {
                if (!_stages.TryGetValue(value.Stage, out (ProgressTask Task, ProgressRate Rate) stage))
                {
                    stage = (context.AddTask(Markup.Escape(value.Stage)), new ProgressRate(value.Stage, value.Done, _clock.Elapsed));
                    _stages.Add(value.Stage, stage);
                }

                stage.Task.IsIndeterminate = value.Total == 0;
                stage.Task.MaxValue = Math.Max(1, value.Total);
                stage.Task.Value = value.Total == 0 ? 0 : value.Done;
                stage.Task.Description = Markup.Escape($"{value.Stage}: {stage.Rate.Describe(value, _clock.Elapsed)}");
            }
        }
    }
}
