using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using RetrievalEngine.Data;

namespace RetrievalEngine.Cli.Demo;

/// <summary><c>demo data</c>: writes the demo's collection and nothing else. The recipe of the base checkpoint starts here.</summary>
internal static class DemoDataCommand
{
    /// <summary>Queries measured at the end; chosen by hash where there are more.</summary>
    public const int TestQueries = 1000;

    /// <summary>Queries watched during training.</summary>
    public const int DevQueries = 300;

    private const string Help = """
        Writes the demo's collection: the XML documentation of the .NET SDK on this machine, split by type.

        Examples:
          retrieval demo data --output docs
          retrieval demo data --documentation my-xml-files --output docs

        test/, dev/, train/ and pretrain/ are BEIR folders: corpus.jsonl, queries.jsonl, qrels.SPLIT.trec. pretrain.jsonl holds what the base checkpoint
        is trained on: pairs in Tevatron's layout, without negatives.
        """;

    /// <summary>The option that names another source of documentation.</summary>
    public static Option<string?> DocumentationOption() => new("--documentation") { Description = "A folder of XML documentation instead of the SDK's", HelpName = "DIR" };

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> documentation = DocumentationOption();
        Option<string> output = new("--output") { Description = "The folder to write", HelpName = "DIR", Required = true };
        Command command = new("data", Help) { documentation, output };
        command.SetAction(parsed =>
        {
            foreach (string line in Write(Load(parsed.GetValue(documentation)), parsed.GetRequiredValue(output))) Console.Out.WriteLine(line);
            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>Reads the documentation in <paramref name="folder"/>, or the SDK's where that is null.</summary>
    public static DemoCollection Load(string? folder)
    {
        string[] files = folder is null ? SdkDocumentation.Find() : SdkDocumentation.In(folder);
        return DemoCollection.Build(files.SelectMany(XmlDocumentation.Read));
    }

    /// <summary>Writes everything under <paramref name="folder"/>.</summary>
    /// <returns>What became of the members, in sentences.</returns>
    public static IReadOnlyList<string> Write(DemoCollection collection, string folder)
    {
        DemoCounts c = collection.Counts;
        List<string> report =
        [
            $"{c.Members} members; left out {c.NotReadable} (machine instructions, explicit interface members); {c.Documents} documents with overloads together",
            $"{c.Queries} queries; dropped: {c.Shared} members whose summary others share word for word, {c.NoSummary} without a summary of four words, {c.InOwnText} whose document holds it",
        ];
        foreach (DemoSplit split in (DemoSplit[])[DemoSplit.Pretrain, DemoSplit.Train, DemoSplit.Dev, DemoSplit.Test])
        {
            string name = split.ToString().ToLowerInvariant();
            int most = split switch { DemoSplit.Test => TestQueries, DemoSplit.Dev => DevQueries, _ => int.MaxValue };
            (int documents, int queries) = DemoFiles.WriteSplit(Path.Combine(folder, name), collection, split, most);
            report.Add($"{name}: {documents} documents, {queries} queries");
        }

        report.Add($"pretrain.jsonl: {TrainingRows.Write(Path.Combine(folder, "pretrain.jsonl"), DemoTrainingRows.OfPretraining(collection))} pairs");
        return report;
    }
}
