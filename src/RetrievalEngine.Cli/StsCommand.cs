using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Models;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>sts</c>: whether a model finds alike what people find alike.</summary>
internal static class StsCommand
{
    private const string Help = """
        Semantic textual similarity: how the cosine of two sentences' vectors goes with the scores that people gave, as Spearman's and Pearson's correlation.

        Examples:
          retrieval sts --model all-MiniLM-L6-v2 sts-test.csv
          retrieval sts --model Qwen2-0.5B --adapter runs/lora --query-prefix "query: " pairs.jsonl --json

        The file: the STS benchmark's tab-separated columns; JSON lines {"sentence1", "sentence2", "score"}; three tab-separated columns with the score first or last; or
        a header with these names, separated by tabs or commas. Both sentences are encoded as queries: with the model's query prefix, or the one given.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Argument<string> file = new("FILE") { Description = "Pairs of sentences with scores" };
        Option<string> model = CommonOptions.Model();
        model.Required = true;
        Option<string?> adapter = CommonOptions.Adapter();
        Option<int?> batchTokens = CommonOptions.Count(
            "--batch-tokens", $"Most tokens of a batch (default {TextEncoder.DefaultBatchTokens}); it does not change the vectors");
        ContractOptions contract = new();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();
        Command command = new("sts", Help) { file, model, adapter, batchTokens };
        foreach (Option option in contract.All) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        command.SetAction((parsed, stop) =>
        {
            bool isQuiet = parsed.GetValue(quiet);
            string folder = parsed.GetRequiredValue(model);
            string? adapterFolder = parsed.GetValue(adapter);
            int tokens = parsed.GetValue(batchTokens) ?? TextEncoder.DefaultBatchTokens;
            IReadOnlyList<SentencePair> pairs = SentencePairs.Read(parsed.GetRequiredValue(file));
            using IBackend backend = device.Create(parsed, isQuiet);
            MemoryReport.Check(backend, isQuiet, () => MemoryPlan.Of(backend, folder, adapterFolder is null ? null : AdapterConfig.Load(adapterFolder), tokens));
            double[] cosines = ProgressDisplay.Run(isQuiet, progress =>
            {
                EncodingContract made = EncodingContract.For(folder, adapterFolder, contract.Read(parsed), progress, stop);
                using TextEncoder encoder = TextEncoder.Load(backend, folder, adapterFolder, made, tokens);
                string[] texts = [.. pairs.Select(pair => made.FormatQuery(pair.First)), .. pairs.Select(pair => made.FormatQuery(pair.Second))];
                TokenizedTexts tokenized = encoder.Tokenize(texts, EncodingSide.Query, cancellation: stop);
                if (tokenized.Truncated > 0 && !isQuiet)
                    Console.Error.WriteLine($"warning: {tokenized.Truncated} of {texts.Length} sentences are longer than {made.QueryMaxLength} tokens and were truncated");
                float[] vectors = new float[(long)texts.Length * made.Dimensions];
                int done = 0;
                encoder.Encode(tokenized, vectors, (count, _) => progress.Report(new ProgressUpdate("encode", done += count, texts.Length, "sentences")), stop);
                return Cosines(vectors, made.Dimensions);
            });
            double[] scores = [.. pairs.Select(pair => pair.Score)];
            Print(pairs.Count, Correlation.Spearman(cosines, scores), Correlation.Pearson(cosines, scores), parsed.GetValue(json));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    /// <summary>The cosine of row i with row n + i of <paramref name="vectors"/> [2n, width].</summary>
    private static double[] Cosines(float[] vectors, int width)
    {
        double[] cosines = new double[vectors.Length / width / 2];
        for (int i = 0; i < cosines.Length; i++)
        {
            ReadOnlySpan<float> a = vectors.AsSpan(i * width, width), b = vectors.AsSpan((cosines.Length + i) * width, width);
            double aa = 0, bb = 0, ab = 0;
            for (int j = 0; j < width; j++)
            {
                aa += (double)a[j] * a[j];
                bb += (double)b[j] * b[j];
                ab += (double)a[j] * b[j];
            }

            cosines[i] = ab / Math.Max(Math.Sqrt(aa * bb), 1e-12);
        }

        return cosines;
    }

    private static void Print(int pairs, double spearman, double pearson, bool json)
    {
        if (!json)
        {
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"pairs {pairs}\nspearman {Text(spearman)}\npearson {Text(pearson)}"));
            return;
        }

        JsonOutput.Print(writer =>
        {
            writer.WriteNumber("pairs", pairs);
            if (double.IsNaN(spearman)) writer.WriteNull("spearman");
            else writer.WriteNumber("spearman", spearman);
            if (double.IsNaN(pearson)) writer.WriteNull("pearson");
            else writer.WriteNumber("pearson", pearson);
        });

        // A list that is constant has no correlation.
        static string Text(double value) => double.IsNaN(value) ? "undefined: all cosines or all scores are equal" : value.ToString("F6", CultureInfo.InvariantCulture);
    }
}
