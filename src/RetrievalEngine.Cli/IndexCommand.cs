using System;
using System.CommandLine;
using System.Threading.Tasks;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>index</c>.</summary>
internal static class IndexCommand
{
    private const string Help = """
        Builds an index for exact search from passage embeddings.

        Examples:
          retrieval index build --embeddings emb/scifact --output idx/scifact
          retrieval index build --embeddings emb/part1 --embeddings emb/part2 --output idx/whole

        The index holds the vectors (safetensors), the document ids and how the vectors were made, so that search can refuse queries of another model.
        It needs the embeddings no more. Every checksum is checked on the way.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create() => new("index", "Builds an index for exact search.") { CreateBuild() };

    private static Command CreateBuild()
    {
        Option<string[]> embeddings =
            new("--embeddings") { Description = "Folder that retrieval encode wrote; may be repeated", HelpName = "DIR", Required = true };
        Option<string> output =
            new("--output") { Description = "Folder to write; new, or an unfinished build of the same", HelpName = "DIR", Required = true };
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();
        Command command = new("build", Help) { embeddings, output, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(output);
            EmbeddingManifest manifest = ProgressDisplay.Run(parsed.GetValue(quiet),
                progress => IndexBuilder.Build(parsed.GetRequiredValue(embeddings), folder, progress, cancellation: stop));
            if (parsed.GetValue(json))
            {
                JsonOutput.Print(writer =>
                {
                    writer.WriteString("output", folder);
                    writer.WriteNumber("rows", manifest.Rows);
                    writer.WriteNumber("dimensions", manifest.Contract.Dimensions);
                    writer.WriteString("dtype", EmbeddingManifest.DTypeName(manifest.DType));
                });
            }
            else
            {
                Console.Out.WriteLine($"{manifest.Describe()} in {folder}");
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
