using System;
using System.CommandLine;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>index</c>: makes an index and changes it.</summary>
internal static class IndexCommand
{
    private const string StorageWords = "float32, float16, bfloat16, int8, binary", MetricWords = "inner_product, cosine, l2";

    /// <summary>Makes the verb.</summary>
    public static Command Create() => new("index", "Builds an index for exact search, and changes, checks, imports and exports it.")
    {
        CreateBuild(), CreateImport(), CreateAdd(), CreateDelete(), CreateCompact(), CreateVerify(), CreateExport(),
    };

    private static Command CreateBuild()
    {
        Option<string[]> embeddings =
            new("--embeddings") { Description = "Folder that retrieval encode wrote; may be repeated", HelpName = "DIR", Required = true };
        Option<string> output = Output();
        Option<VectorStorage?> storage = Storage("How numbers are kept: " + StorageWords + "; as the embeddings are, where absent");
        Option<string?> scan = ScanDType();
        Option<bool> quiet = CommonOptions.Quiet(), json = CommonOptions.Json();
        Command command = new("build",
            """
            Builds an index for exact search from passage embeddings.

            Examples:
              retrieval index build --embeddings emb/scifact --output idx/scifact
              retrieval index build --embeddings emb/part1 --embeddings emb/part2 --output idx/whole --storage int8

            The index holds the vectors (safetensors), the document ids and how the vectors were made, so that search can refuse queries of another model.
            It needs the embeddings no more. Every checksum is checked on the way. There is an index when the command ends, and none before.
            """) { embeddings, output, storage, scan, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(output);
            Print(folder, parsed.GetValue(json), ProgressDisplay.Run(parsed.GetValue(quiet), progress =>
                IndexBuilder.Build(parsed.GetRequiredValue(embeddings), folder, parsed.GetValue(storage), parsed.GetValue(scan) is not null, progress, cancellation: stop)));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Command CreateImport()
    {
        Argument<string> file = new("FILE") { Description = "Vectors: .npy [rows, dimensions], .fvecs, or a faiss flat index (IxFI, IxF2)" };
        Option<string> output = Output();
        Option<string?> ids = Ids("File with the ids, one a line; row numbers from 0 where absent");
        Option<Metric?> metric = new("--metric")
        {
            Description = "How vectors are compared: " + MetricWords + "; what the file says, else inner_product, where absent",
            HelpName = "METRIC",
            CustomParser = result => Word(result, IndexManifest.ParseMetric, MetricWords),
        };
        Option<VectorStorage?> storage = Storage("How numbers are kept: " + StorageWords + " (default float32)");
        Option<string?> scan = ScanDType();
        Option<bool> quiet = CommonOptions.Quiet(), json = CommonOptions.Json();
        Command command = new("import",
            """
            Makes an index of vectors from elsewhere: NumPy, faiss, fvecs.

            Examples:
              retrieval index import vectors.npy --ids ids.txt --metric cosine --output idx/mine
              retrieval index import flat.faiss --output idx/mine

            Nothing is known of the model that made them: search such an index with --query-embeddings FILE. For cosine, vectors are kept with length 1.
            A row with a number that is not finite is refused.
            """) { file, output, ids, metric, storage, scan, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(output);
            using VectorFile vectors = VectorFile.Open(parsed.GetRequiredValue(file));
            Print(folder, parsed.GetValue(json), ProgressDisplay.Run(parsed.GetValue(quiet), progress => IndexBuilder.Import(
                vectors.AsSource(parsed.GetValue(ids)), folder, parsed.GetValue(metric) ?? vectors.Metric ?? Metric.InnerProduct,
                parsed.GetValue(storage) ?? VectorStorage.Float32, parsed.GetValue(scan) is not null, progress, cancellation: stop)));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Command CreateAdd()
    {
        Argument<string> index = Index(), source = new("FILE") { Description = "Folder that retrieval encode wrote, or a file as for index import" };
        Option<string?> ids = Ids("With a file: its ids, one a line; row numbers behind those of the index where absent");
        Option<bool> replace = new("--replace") { Description = "Ids that are there already: delete their vectors in the same step" };
        Option<bool> quiet = CommonOptions.Quiet(), json = CommonOptions.Json();
        Command command = new("add",
            """
            Adds vectors to an index, in one step: a reader sees all of them or none.

            Examples:
              retrieval index add idx/scifact emb/new
              retrieval index add idx/mine more.npy --ids more.txt --replace
            """) { index, source, ids, replace, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(index), from = parsed.GetRequiredValue(source);
            Print(folder, parsed.GetValue(json), ProgressDisplay.Run(parsed.GetValue(quiet), progress =>
            {
                if (System.IO.Directory.Exists(from)) return IndexEditor.AddEmbeddings(folder, from, parsed.GetValue(replace), progress, stop);
                using VectorFile vectors = VectorFile.Open(from);
                VectorSource rows = vectors.AsSource(parsed.GetValue(ids), IndexManifest.Load(folder).StoredRows);
                return IndexEditor.Add(folder, rows, parsed.GetValue(replace), progress, cancellation: stop);
            }));
            return Task.FromResult(ExitCodes.Done);
        });
        command.Validators.Add(result =>
        {
            if (result.GetValue(ids) is not null && System.IO.Directory.Exists(result.GetValue(source))) result.AddError("--ids goes with a file of vectors; embeddings have their ids");
        });
        return command;
    }

    private static Command CreateDelete()
    {
        Argument<string> index = Index();
        Option<string?> ids = Ids("File with the ids to delete, one a line");
        ids.Required = true;
        Option<bool> quiet = CommonOptions.Quiet();
        Command command = new("delete",
            """
            Deletes vectors by id, in one step. Their room is given back by index compact.

            Example: retrieval index delete idx/scifact --ids gone.txt
            """) { index, ids, quiet };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(index);
            string[] wanted = [.. VectorFile.ReadIds(parsed.GetRequiredValue(ids)!).Distinct(StringComparer.Ordinal)];
            long deleted = IndexEditor.Delete(folder, wanted, stop);
            if (deleted < wanted.Length && !parsed.GetValue(quiet)) Console.Error.WriteLine($"warning: {wanted.Length - deleted} of {wanted.Length} ids are not in {folder}");
            Console.Out.WriteLine($"deleted {deleted} vectors; {IndexManifest.Load(folder).Describe()} in {folder}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Command CreateCompact()
    {
        Argument<string> index = Index();
        Option<bool> quiet = CommonOptions.Quiet(), json = CommonOptions.Json();
        Command command = new("compact",
            """
            Writes the vectors that were not deleted into as few files as hold them. It needs room for them beside the old files while it runs.

            Example: retrieval index compact idx/scifact
            """) { index, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(index);
            Print(folder, parsed.GetValue(json), ProgressDisplay.Run(parsed.GetValue(quiet), progress => IndexEditor.Compact(folder, progress, cancellation: stop)));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Command CreateVerify()
    {
        Argument<string> index = Index();
        Option<bool> quiet = CommonOptions.Quiet();
        Command command = new("verify",
            """
            Reads an index as a whole: checksums, ids, numbers. Exit code 1 and one sentence where something is wrong.

            Example: retrieval index verify idx/scifact
            """) { index, quiet };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(index);
            IndexManifest.Load(folder);
            try
            {
                IndexManifest manifest = ProgressDisplay.Run(parsed.GetValue(quiet), progress =>
                {
                    using IndexStore store = IndexStore.Open(folder);
                    store.Verify(progress, stop);
                    store.VerifyContents(progress, stop);
                    return store.Manifest;
                });
                Console.Out.WriteLine($"ok: {manifest.Describe()}, generation {manifest.Generation}");
                return Task.FromResult(ExitCodes.Done);
            }
            catch (InputException e)
            {
                Console.Error.WriteLine($"retrieval: {e.Message}");
                return Task.FromResult(ExitCodes.CheckFailed);
            }
        });
        return command;
    }

    private static Command CreateExport()
    {
        Argument<string> index = Index(), file = new("FILE") { Description = "File to write: .npy, .fvecs, .faiss or .index" };
        Option<string?> ids = Ids("File for the ids, one a line, in the order of the vectors");
        Option<bool> quiet = CommonOptions.Quiet();
        Command command = new("export",
            """
            Writes the vectors of an index as float32 for other programs: NumPy, fvecs, faiss's flat index.

            Example: retrieval index export idx/scifact scifact.faiss --ids scifact.ids
            """) { index, file, ids, quiet };
        command.SetAction((parsed, stop) =>
        {
            using IndexStore store = IndexStore.Open(parsed.GetRequiredValue(index));
            ProgressDisplay.Run(parsed.GetValue(quiet), progress =>
            {
                VectorFileWriter.Write(store.AsSource(), store.Manifest.Metric, parsed.GetRequiredValue(file), parsed.GetValue(ids), progress, stop);
                return 0;
            });
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Argument<string> Index() => new("INDEX") { Description = "Folder of the index" };

    private static Option<string> Output() => new("--output") { Description = "Folder to write; new or empty", HelpName = "DIR", Required = true };

    private static Option<string?> Ids(string description) => new("--ids") { Description = description, HelpName = "FILE" };

    private static Option<VectorStorage?> Storage(string description) => new("--storage")
    {
        Description = description,
        HelpName = "TYPE",
        CustomParser = result => Word(result, IndexManifest.ParseStorage, StorageWords),
    };

    private static Option<string?> ScanDType()
    {
        Option<string?> option = new("--scan-dtype")
        {
            Description = "Keep int8 codes with error bounds beside the vectors: search reads a quarter of the bytes and proves its results, or reads the vectors",
            HelpName = "int8",
        };
        option.AcceptOnlyFromAmong("int8");
        return option;
    }

    private static T? Word<T>(System.CommandLine.Parsing.ArgumentResult result, Func<string, T?> parse, string words)
        where T : struct
    {
        T? value = parse(result.Tokens.Single().Value);
        if (value is null) result.AddError($"\"{result.Tokens.Single().Value}\" is none of {words}");
        return value;
    }

    private static void Print(string folder, bool asJson, IndexManifest manifest)
    {
        if (!asJson)
        {
            Console.Out.WriteLine($"{manifest.Describe()} in {folder}");
            return;
        }

        JsonOutput.Print(writer =>
        {
            writer.WriteString("output", folder);
            writer.WriteNumber("rows", manifest.Rows);
            writer.WriteNumber("dimensions", manifest.Dimensions);
            writer.WriteString("storage", IndexManifest.StorageName(manifest.Storage));
            writer.WriteString("metric", IndexManifest.MetricName(manifest.Metric));
            writer.WriteNumber("generation", manifest.Generation);
        });
    }
}
