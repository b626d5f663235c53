using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using RetrievalEngine.Text;

namespace RetrievalEngine.Bench;

/// <summary>
/// Tokens a second on one core: <c>tokenizer TEXT DIR…</c> for the tokenizers in folders on a text file. Rates are by processor time of this one
/// thread, so that neighbours do not
/// count; the best of several rounds, and the time that a text of 10 MB takes when 512 tokens of it are kept.
/// </summary>
internal static class TokenizerReport
{
    private const int LongText = 10_000_000, Kept = 512;

    /// <summary>Prints a line for each tokenizer.</summary>
    public static void Run(string[] args)
    {
        if (args.Length < 2) throw new ArgumentException("tokenizer TEXT DIR…: a text file and folders with tokenizers");
        string[] lines = [.. File.ReadLines(args[0]).Where(line => line.Length > 0)];
        // Paragraphs, as documents have them.
        string[] texts = [.. lines.Chunk(8).Select(chunk => string.Join('\n', chunk))];
        long units = texts.Sum(text => (long)text.Length);
        string whole = string.Concat(Enumerable.Repeat(string.Join('\n', texts), (int)(LongText / units) + 1))[..LongText];
        foreach (string folder in args[1..])
        {
            Tokenizer tokenizer = Tokenizer.Load(folder);
            long tokens = 0;
            double best = double.PositiveInfinity;
            for (int round = 0; round < 12; round++)
            {
                tokens = 0;
                double seconds = Seconds(() =>
                {
                    foreach (string text in texts) tokens += tokenizer.Encode(text, addSpecialTokens: false).Length;
                });
                best = Math.Min(best, seconds);
            }

            double right = Seconds(() => tokenizer.Encode(whole, maxTokens: Kept));
            double left = Seconds(() => tokenizer.Encode(whole, maxTokens: Kept, side: TruncationSide.Left));
            string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder));
            Console.WriteLine(FormattableString.Invariant(
                $"{name,-20} {tokens / best / 1e6:F2} million tokens/s, {units / best / 1e6:F1} million characters/s"));
            Console.WriteLine(FormattableString.Invariant($"{"",-20} 10 MB cut to {Kept}: right {right * 1e3:F2} ms, left {left * 1e3:F0} ms"));
        }
    }

    private static double Seconds(Action work)
    {
        using Process process = Process.GetCurrentProcess();
        GC.Collect();
        TimeSpan before = process.TotalProcessorTime;
        work();
        process.Refresh();
        return (process.TotalProcessorTime - before).TotalSeconds;
    }
}
