# Runs hearth's statements inside R. Started as `R --file=r_side.R --args REQUESTS ANSWERS`, both
# ends of pipes. What statements print goes to standard output and standard error as ever.
#
#   request: "<bytes of the code> <mark> <job group>\n" and the code
#   answer:  "<ok|error> <bytes of the message> <bytes of the image>\n" and both
#
# The mark, on a line of its own, ends the printed text of a request.
local({
    arguments <- commandArgs(trailingOnly = TRUE)
    requests <- file(arguments[1], open = "rb", raw = TRUE)
    answers <- file(arguments[2], open = "wb", raw = TRUE)
    has_spark <- nzchar(Sys.getenv("EXISTING_SPARKR_BACKEND_PORT"))
    image <- tempfile(fileext = ".png")
    device <- NULL

    # Plots open this device when there is none.
    options(warn = 1, device = function(...) {
        grDevices::png(image)
        device <<- grDevices::dev.cur()
    })

    attach_spark <- function() {
        folder <- file.path(Sys.getenv("SPARK_HOME"), "R", "lib")
        suppressPackageStartupMessages(
            library(SparkR, lib.loc = c(folder[dir.exists(folder)], .libPaths()))
        )
        SparkR::sparkR.session(enableHiveSupport = FALSE)
        Sys.unsetenv(c("EXISTING_SPARKR_BACKEND_PORT", "SPARKR_BACKEND_AUTH_SECRET"))
        kept <- getNamespace("SparkR")$.sparkREnv
        session <- get(".sparkRsession", envir = kept)
        assign("sc", get(".sparkRjsc", envir = kept), envir = globalenv())
        assign("spark", session, envir = globalenv())
        assign("sqlContext", session, envir = globalenv())
    }

    # The job group belongs to the thread of the JVM that serves this process.
    set_job_group <- function(group) {
        if (has_spark && nzchar(group))
            SparkR::setJobGroup(group, paste("statement", group), TRUE)
    }

    evaluate <- function(code) {
        for (expression in parse(text = code, keep.source = FALSE, encoding = "UTF-8")) {
            result <- withVisible(eval(expression, globalenv()))
            if (result$visible) print(result$value)
        }
    }

    # NULL, or why it failed. Nothing else may be interrupted.
    run <- function(code, group) {
        tryCatch({
            set_job_group(group)
            allowInterrupts(evaluate(code))
            NULL
        },
        error = function(problem) paste0(conditionMessage(problem), ""),
        interrupt = function(problem) "interrupted")
    }

    # What was drawn, as the bytes of a png file.
    take_image <- function() {
        if (is.null(device)) return(raw(0))
        if (device %in% grDevices::dev.list()) grDevices::dev.off(device)
        device <<- NULL
        if (!file.exists(image)) return(raw(0))
        bytes <- readBin(image, "raw", file.size(image))
        unlink(image)
        bytes
    }

    # In one write.
    answer <- function(failure, drawing) {
        message <- charToRaw(enc2utf8(if (is.null(failure)) "" else failure))
        status <- if (is.null(failure)) "ok" else "error"
        head <- sprintf("%s %d %d\n", status, length(message), length(drawing))
        writeBin(c(charToRaw(head), message, drawing), answers)
        flush(answers)
    }

    serve <- function() {
        line <- readLines(requests, 1)
        if (length(line) == 0) quit("no")
        head <- strsplit(line, " ", fixed = TRUE)[[1]]
        code <- rawToChar(readBin(requests, "raw", as.integer(head[1])))
        Encoding(code) <- "UTF-8"
        failure <- run(code, if (length(head) > 2) head[3] else "")
        drawing <- tryCatch(take_image(), error = function(problem) raw(0))
        while (sink.number() > 0) sink()
        sink(type = "message")
        cat("\n", head[2], "\n", sep = "")
        flush(stdout())
        answer(failure, drawing)
    }

    if (has_spark) attach_spark()
    suspendInterrupts(repeat serve())
})
