using System.Collections.Generic;
using System.IO;

namespace RetrievalEngine.Cli.Demo;

/// <summary>The demo as a list of commands, and where each leaves what. Paths are as the user would type them.</summary>
internal sealed class DemoPlan(string work, string? documentation, int threads)
{
    /// <summary>The systems that the table compares, worst expected first after the baseline.</summary>
    public static readonly IReadOnlyList<string> Systems = ["bm25", Random, Base, Tuned];

    /// <summary>The untrained network, the checkpoint of <c>assets/</c>, and that checkpoint with the demo's adapter.</summary>
    public const string Random = "random", Base = "base", Tuned = "tuned";

    // Of a plain decoder nothing but the weights is known; the trained ones carry these in their contract.
    private static readonly string[] s_contract = ["--pooling", "mean", "--append-eos-token", "--query-max-len", "48", "--passage-max-len", "96"];

    /// <summary>The collection that is searched.</summary>
    public string Test => Path.Combine(work, "data", "test");

    /// <summary>Its judgements.</summary>
    public string Qrels => Path.Combine(Test, DemoFiles.Qrels(DemoSplit.Test));

    /// <summary>The run of <paramref name="system"/>.</summary>
    public string Run(string system) => Path.Combine(work, $"{system}.run");

    /// <summary>The index of <paramref name="system"/>.</summary>
    public string Index(string system) => Path.Combine(work, $"{system}-index");

    /// <summary>The model of <paramref name="system"/>.</summary>
    public string Model(string system) => Path.Combine(work, system == Random ? Random : Base);

    /// <summary>All steps in their order.</summary>
    public IReadOnlyList<DemoStep> Steps()
    {
        string data = Path.Combine(work, "data"), mined = Path.Combine(work, "train.jsonl"), adapter = Path.Combine(work, "adapter");
        string[] compute = ["--threads", $"{threads}", "--json"];
        List<DemoStep> steps =
        [
            new("data", "documentation of the .NET SDK into documents and questions", 4, [.. documentation is null ? (string[])["demo", "data"] : ["demo", "data", "--documentation", documentation], "--output", data]),
            new("bm25 search", "baseline: BM25", 1, ["search", "--method", "bm25", "--corpus", Test, "--queries", Test, "--depth", "100", "--output", Run("bm25")]),
            new("random init", "a network of random weights", 1, ["model", "init", "--config", Path.Combine(Model(Base), "config.json"), "--tokenizer", Model(Base), "--output", Model(Random)]),
        ];
        steps.AddRange(Dense(Random, "random weights", s_contract, compute));
        steps.AddRange(Dense(Base, "base, before fine-tuning", [], compute));
        steps.Add(new("mine", "hard negatives for the training questions, by BM25", 3,
            ["mine", "--method", "bm25", "--corpus", Path.Combine(data, "train"), "--train-data", Path.Combine(data, "train"), "--num-negatives", "3", "--output", mined]));
        steps.Add(new("train", "LoRA fine-tuning", 110,
        [
            "train", "--model", Model(Base), "--train-data", mined, "--dev-data", Path.Combine(data, "dev"), "--output", adapter, "--resume",
            "--lora", "--lora-r", "16", "--lora-alpha", "32", "--lora-dropout", "0", "--train-group-size", "2", "--per-device-train-batch-size", "64",
            "--mask-known-positives", "--num-train-epochs", "1", "--learning-rate", "1e-3", "--eval-steps", "50", "--save-steps", "50", .. compute,
        ]));
        steps.AddRange(Dense(Tuned, "tuned", ["--adapter", adapter], compute));
        return steps;
    }

    private IEnumerable<DemoStep> Dense(string system, string title, string[] options, string[] compute)
    {
        string embeddings = Path.Combine(work, $"{system}-embeddings");
        yield return new($"{system} encode", $"{title}: encode the corpus", 25, ["encode", "--model", Model(system), .. options, "--input", Test, "--output", embeddings, .. compute]);
        yield return new($"{system} index", $"{title}: index", 1, ["index", "build", "--embeddings", embeddings, "--output", Index(system), "--json"]);
        yield return new($"{system} search", $"{title}: search", 3, ["search", "--index", Index(system), "--queries", Test, "--depth", "100", "--threads", $"{threads}", "--output", Run(system)]);
    }
}
